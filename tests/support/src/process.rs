//! `Process` is a child process. It runs in its own process group and writes to a file. It is ended
//! by its id, also when a test panics or the whole test run is killed.
//!
//! The kernel's parent-death signal depends on the *thread* that forked, and a test's thread may
//! end long before a shared server. So one keeper thread, which lives as long as the test process,
//! forks all children.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

use crate::pid::{self, Pid};
use crate::wait;

/// A child process that we started. It may have ended.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    command: String,
    log: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// `None` for an adopted process.
    child: Option<Child>,
    ended: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`, and appends its output and errors to `log`.
    ///
    /// If the test process dies, the child gets the signal `on_orphan`.
    pub fn spawn(mut command: Command, log: &Path, on_orphan: i32) -> Process {
        let text = line(&command);
        let output = File::options().create(true).append(true).open(log);
        let output = output.and_then(|file| Ok((file.try_clone()?, file)));
        let (stdout, stderr) =
            output.unwrap_or_else(|error| panic!("cannot write {}: {error}", log.display()));
        command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0);
        // SAFETY: the closure runs between fork and exec. It makes one system call, which is
        // async-signal-safe, and touches no memory of the parent.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, on_orphan) == -1 {
                    return Err(io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child =
            keeper_spawn(command).unwrap_or_else(|error| panic!("cannot start `{text}`: {error}"));
        Process {
            pid: Pid(i32::try_from(child.id()).expect("process ids are small")),
            command: text,
            log: log.to_owned(),
            state: Mutex::new(State {
                child: Some(child),
                ended: None,
            }),
        }
    }

    /// Takes over a daemon that `launcher` has left behind, a process of ours that has ended.
    /// `accept_daemons` must have been called before.
    pub fn adopt(pid: Pid, launcher: &Process) -> Process {
        Process {
            pid,
            command: launcher.command.clone(),
            log: launcher.log.clone(),
            state: Mutex::new(State {
                child: None,
                ended: None,
            }),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// The command line, in the form of a shell.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// True if it is running.
    pub fn alive(&self) -> bool {
        self.ended().is_none()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&self) -> Option<ExitStatus> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ended.is_none() {
            state.ended = match &mut state.child {
                Some(child) => child.try_wait().expect("it is our child"),
                None => wait_for_adopted(self.pid),
            };
        }
        state.ended
    }

    /// Waits until it ends, for at most `limit`.
    pub fn wait(&self, limit: Duration) -> Option<ExitStatus> {
        wait::poll(limit, || self.ended())
    }

    /// Kills it and the rest of its process group, and waits until it ends.
    pub fn kill(&self) {
        if self.alive() {
            // A child has its own group (`process_group(0)`), and a daemon always has one. The
            // number belongs to no other process as long as a member of the group has not been
            // waited for.
            // SAFETY: getpgid takes and returns integers.
            let group = unsafe { libc::getpgid(self.pid.0) };
            assert!(group > 1, "process {} has no group", self.pid);
            pid::signal(-group, libc::SIGKILL);
            self.wait(wait::WAIT_LIMIT);
        }
    }

    /// Everything it has written so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// For the message of a failure: the command, whether it is running, and the end of its log.
    pub fn account(&self) -> String {
        let state = match self.ended() {
            None => format!("still running as process {}", self.pid),
            Some(status) => format!("ended with {status}"),
        };
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(40)..].join("\n");
        format!(
            "command: {}\n{state}; the end of its log:\n{tail}",
            self.command
        )
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// From now on, daemons that our children leave behind become our children, so that we can wait for
/// them.
pub fn accept_daemons() {
    // SAFETY: this prctl takes an integer and touches no memory of ours.
    let accepted = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
    assert_eq!(accepted, 0, "this kernel knows no subreapers");
}

fn wait_for_adopted(pid: Pid) -> Option<ExitStatus> {
    let mut status = 0;
    // SAFETY: `status` lives, and waitpid writes an integer to it.
    let waited = unsafe { libc::waitpid(pid.0, &raw mut status, libc::WNOHANG) };
    assert!(waited >= 0, "process {pid} is not ours to wait for");
    (waited == pid.0).then(|| ExitStatus::from_raw(status))
}

/// The command line of `command`, in the form of a shell.
pub fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<String> = words.map(|word| word.to_string_lossy().into()).collect();
    words.join(" ")
}

/// A child has all that we have open until it becomes its program. Whoever must be the only one to
/// have something open holds this to write, whoever forks holds it to read.
static FORKS: RwLock<()> = RwLock::new(());

/// Does `work` while no process is forked, so that no child has what it opens.
pub fn without_forks<T>(work: impl FnOnce() -> T) -> T {
    let _alone = FORKS.write().unwrap_or_else(PoisonError::into_inner);
    work()
}

/// Starts a command; this returns when the child has become its program.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let _forking = FORKS.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Runs a command to its end; what it wrote.
pub fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    spawn(command)?.wait_with_output()
}

type Job = (Command, Sender<io::Result<Child>>);

fn keeper_spawn(command: Command) -> io::Result<Child> {
    static KEEPER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (jobs, queue) = mpsc::channel::<Job>();
        let work = move || {
            for (mut command, answer) in queue {
                // A caller that is gone does not need its answer.
                let _ = answer.send(spawn(&mut command));
            }
        };
        let thread = thread::Builder::new().name("keeper".into());
        thread.spawn(work).expect("a thread");
        Mutex::new(jobs)
    });
    let (answer, child) = mpsc::channel();
    let jobs = keeper.lock().unwrap_or_else(PoisonError::into_inner);
    jobs.send((command, answer)).expect("the keeper never ends");
    drop(jobs);
    child.recv().expect("the keeper answers")
}
