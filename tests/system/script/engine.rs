//! The engines of KEMI scripts: the same calls in Lua, Python and JavaScript.

use support::{Builder, Host, Scratch, skip};

/// An engine of KEMI scripts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Engine {
    Lua,
    Python,
    JavaScript,
}

/// In each language, `note` adds the text of a value and a separator to `notes`.
const LUA: &str = r#"
notes = ""
function note(value)
    local kind, text = type(value), "nothing"
    if kind == "number" then text = string.format("%.0f", value) end
    if kind == "string" then text = "<" .. value .. ">" end
    notes = notes .. text .. "\030"
end
function piece()
"#;
const PYTHON: &str = r#"
import KSR as KSR
notes = ""
def note(value):
    global notes
    text = "nothing" if value is None else "<" + value + ">" if isinstance(value, str) else str(value)
    notes += text + "\036"
def mod_init():
    return Script()
class Script:
    def child_init(self, rank):
        return 0
    def piece(self, msg):
"#;
const JAVASCRIPT: &str = r#"
var notes = "";
function note(value) {
    var text = "nothing";
    if (typeof value == "number") text = String(value);
    if (typeof value == "string") text = "<" + value + ">";
    notes += text + "\x1e";
}
function piece() {
"#;

/// Runs `test` with each engine that the host has.
pub fn in_each(test: impl Fn(Engine)) {
    let all = [Engine::Lua, Engine::Python, Engine::JavaScript];
    all.into_iter()
        .filter(|engine| engine.is_there())
        .for_each(test);
}

impl Engine {
    /// Its module.
    pub fn module(self) -> &'static str {
        match self {
            Engine::Lua => "app_lua",
            Engine::Python => "app_python3",
            Engine::JavaScript => "app_jsdt",
        }
    }

    /// Whether the host has it.
    fn is_there(self) -> bool {
        let there = Host::current().has_module(self.module());
        if !there {
            skip(self.module(), "this host does not have it");
        }
        there
    }

    /// The ending of its scripts.
    pub fn ending(self) -> &'static str {
        match self {
            Engine::Lua => "lua",
            Engine::Python => "py",
            Engine::JavaScript => "js",
        }
    }

    fn script(self, lines: &str) -> String {
        let (beginning, indent, end) = match self {
            Engine::Lua => (LUA, "", "end\n"),
            Engine::Python => (PYTHON, "        ", "        return 1\n"),
            Engine::JavaScript => (JAVASCRIPT, "", "}\n"),
        };
        let lines: String = lines
            .lines()
            .map(|line| format!("{indent}{line}\n"))
            .collect();
        format!("{beginning}{lines}{end}")
    }

    /// A Kamailio that runs these lines in its script called `run`, which answers with the expressions.
    pub fn builder(
        self,
        builder: Builder,
        scratch: &Scratch,
        lines: &str,
        expressions: &[&str],
    ) -> Builder {
        let file = Host::current()
            .inside(&scratch.write(&format!("piece.{}", self.ending()), self.script(lines)));
        let run = match self {
            Engine::Lua => "lua_run",
            Engine::Python => "python_exec",
            Engine::JavaScript => "jsdt_run",
        };
        builder
            .module(self.module())
            .param_of(self.module(), "load", file.display().to_string())
            .script("run", &format!("{run}(\"piece\");"), expressions)
    }

    /// Makes these calls, one after the other. Returns what each has returned, and `KSR.memcached.status()`
    /// behind it. A string is between `<` and `>`.
    pub fn call<T: AsRef<str>>(self, builder: Builder, calls: &[T]) -> Vec<[String; 2]> {
        let note = |call: &T| {
            let call = call.as_ref();
            format!("note(KSR.memcached.{call})\nnote(KSR.memcached.status())\n")
        };
        let lines: String = calls.iter().map(note).collect();
        let lines = lines + "KSR.pv.sets(\"$var(notes)\", notes)\n";
        let scratch = Host::current().scratch();
        let kamailio = self
            .builder(builder, &scratch, &lines, &["$var(notes)"])
            .start();
        let answer = kamailio.run("run");
        let errors = kamailio.log_lines(&format!("ERROR: {}", self.module()));
        assert!(errors.is_empty(), "{self:?}: {errors:?}");
        let notes = answer["$var(notes)"].bytes().expect("a text");
        let notes = String::from_utf8_lossy(notes);
        let mut notes = notes.split_terminator('\x1e').map(str::to_owned);
        let pairs = calls.iter().map(|_| {
            let [returned, status] = [(); 2].map(|()| notes.next().unwrap_or_default());
            [returned, status.trim_matches(['<', '>']).to_owned()]
        });
        pairs.collect()
    }

    /// Makes calls, and compares what they return and the status behind each.
    #[track_caller]
    pub fn assert_answers<T: AsRef<str>>(self, builder: Builder, expected: &[(T, &str, &str)]) {
        let calls: Vec<&str> = expected.iter().map(|(call, ..)| call.as_ref()).collect();
        let answers = self.call(builder, &calls);
        for ((call, returned, status), answer) in expected.iter().zip(&answers) {
            assert_eq!(answer, &[*returned, *status], "{self:?}: {}", call.as_ref());
        }
    }
}
