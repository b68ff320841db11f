//! Checks the two generated headers with a C compiler. The programs that include them compare sizes
//! and offsets of our structures with Kamailio's own, and read what the built module exports.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

use support::{Scratch, skip};

const SYMBOLS_HEADER: &str = "include/kamailio_memcached.h";
const LAYOUT_HEADER: &str = "tests/layout/kamailio_layout.h";
const FIGURES: &str = "tests/layout/layout.c";

fn compiler() -> Command {
    let mut compiler = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compiler.args(["-Wall", "-Wextra", "-pedantic", "-Werror"]);
    compiler
}

fn output(command: &mut Command) -> Output {
    let output = command.output();
    output.unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"))
}

/// Compiles a program. It includes the header of the structures, which is in the same folder.
fn compile(source: &Path, scratch: &Scratch) -> PathBuf {
    let program = scratch.join("program");
    let mut command = compiler();
    command.args(["-std=c11", "-Iinclude"]);
    command.arg(source).arg("-o").arg(&program).arg("-ldl");
    let compiled = output(&mut command);
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "{}: {said}", source.display());
    program
}

/// Runs a program. Returns whether it succeeded, and its output.
fn run(command: &mut Command) -> (bool, String) {
    let ran = output(command);
    let said = [ran.stdout, ran.stderr].concat();
    (
        ran.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn layouts_are_those_of_the_host_s_headers() {
    let scratch = Scratch::new();
    let program = compile(Path::new(FIGURES), &scratch);
    let (same, said) = run(&mut Command::new(program));
    print!("{said}");
    assert!(same, "{said}");
}

#[test]
fn every_structure_of_the_header_has_figures() {
    let header = fs::read_to_string(LAYOUT_HEADER).unwrap();
    let figures = fs::read_to_string(FIGURES).unwrap();
    let structures = header
        .lines()
        .filter_map(|line| line.strip_prefix("typedef struct "));
    let names = structures.filter_map(|line| line.strip_suffix(" {"));
    let missing: Vec<_> = names
        .filter(|name| !figures.contains(&format!("SIZE({name},")))
        .collect();
    assert!(missing.is_empty(), "{FIGURES} has nothing on {missing:?}");
}

#[test]
fn a_wrong_layout_is_noticed() {
    let scratch = Scratch::new();
    let right = fs::read_to_string(LAYOUT_HEADER).unwrap();
    let wrong = right.replace("int32_t ri;", "int64_t ri;");
    assert_ne!(right, wrong);
    scratch.write("kamailio_layout.h", wrong);
    scratch.write("layout.c", fs::read(FIGURES).unwrap());
    let program = compile(&scratch.join("layout.c"), &scratch);
    let (same, said) = run(&mut Command::new(program));
    assert!(!same, "{said}");
    for line in [
        "size of kamailio_pv_value32: 32 here, 24 in",
        "kamailio_pv_value32.flags: 24 here, 20 in",
    ] {
        assert!(said.contains(line), "{said}");
    }
}

#[test]
fn c_reads_what_the_module_exports() {
    let test = env::current_exe().unwrap();
    let module = test.with_file_name("libkamailio_memcached.so");
    let scratch = Scratch::new();
    let program = compile(Path::new("tests/layout/exports.c"), &scratch);
    let (read, said) = run(Command::new(program).arg(module));
    assert!(read, "{said}");
    for line in [
        "module memcached",
        "param servers 1",
        "param expire 2",
        "function mct_get 2",
        "function mct_inc 5",
        "variable mct",
        "variable mcst read-only",
    ] {
        assert!(
            said.lines().any(|said| said == line),
            "no `{line}` in:\n{said}"
        );
    }
}

#[test]
fn each_header_is_c_by_itself() {
    for header in [SYMBOLS_HEADER, LAYOUT_HEADER] {
        for standard in ["-std=c99", "-std=c11"] {
            let mut command = compiler();
            command.args(["-x", "c", standard, "-fsyntax-only", header]);
            let (good, said) = run(&mut command);
            assert!(good, "{said}");
        }
    }
}

#[test]
fn each_header_is_cxx_too() {
    let mut plain = compiler();
    plain.args(["-x", "c++", "-fsyntax-only", "/dev/null"]);
    if !output(&mut plain).status.success() {
        skip("C++", "this compiler does not know it");
        return;
    }
    for header in [SYMBOLS_HEADER, LAYOUT_HEADER] {
        let mut command = compiler();
        command.args(["-x", "c++", "-std=c++11", "-fsyntax-only", header]);
        let (good, said) = run(&mut command);
        assert!(good, "{said}");
    }
}
