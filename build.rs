//! Writes the module's two C headers with cbindgen, from the Rust sources alone:
//!
//! * `include/kamailio_memcached.h`: the symbols that the shared object exports;
//! * `tests/layout/kamailio_layout.h`: Kamailio's structures as this module mirrors them. The test
//!   `layout` compares them with Kamailio's own.
//!
//! Both headers are checked in, so their diffs show what changes at the boundary to C. A header
//! that is up to date is not written again.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // Kamailio closes a module that it does not accept in the end. What that has given to the C library stays callable.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
    // The core alone has no symbols for C.
    #[cfg(feature = "module")]
    headers::write_all();
}

#[cfg(feature = "module")]
mod headers {
    use std::collections::HashMap;
    use std::path::Path;
    use std::{env, fs};

    use cbindgen::{Builder, Config, Error, Language, Style};

    /// The symbols of the shared object, and the sources that define them.
    const SYMBOLS_HEADER: &str = "include/kamailio_memcached.h";
    const SYMBOLS: [&str; 2] = ["src/kamailio/module.rs", "src/kamailio/host/version.rs"];

    const SYMBOLS_HEAD: &str = "\
/*
 * kamailio-memcached: the symbols that memcached.so exports. Kamailio's module loader finds them
 * by name.
 *
 * Written by build.rs. Do not edit.
 */";

    /// The forward declaration of the structure that this header does not define.
    const DECLARATIONS: &str = "\
/**
 * What a module offers: Kamailio's own structure (core/sr_module.h).
 */
struct kamailio_module_exports;";

    /// The mirrored structures, and the sources that define them.
    const LAYOUT_HEADER: &str = "tests/layout/kamailio_layout.h";
    const LAYOUTS: [&str; 3] = [
        "src/kamailio/host/layout.rs",
        "src/kamailio/host/layout/functions.rs",
        "src/kamailio/host/kemi_layout.rs",
    ];

    const LAYOUT_HEAD: &str = "\
/*
 * kamailio-memcached: the structures of Kamailio 5.3 to 6.1 on 64-bit machines that the module
 * reads or writes.
 *
 * One layout serves all versions, except for kamailio_pv_value32 (up to 5.6) and
 * kamailio_pv_value64 (from 5.7 on). tests/layout/layout.c checks sizes and offsets.
 *
 * Written by build.rs from src/kamailio/host/layout.rs and kemi_layout.rs. Do not edit.
 */";

    /// Writes both.
    pub fn write_all() {
        for source in LAYOUTS.iter().chain(&SYMBOLS) {
            println!("cargo::rerun-if-changed={source}");
        }
        write(SYMBOLS_HEADER, symbols_header());
        // A source package may come without the tests.
        if Path::new(LAYOUT_HEADER).parent().is_some_and(Path::is_dir) {
            write(LAYOUT_HEADER, layout_header());
        }
    }

    /// Writes a header, unless the file holds exactly this already.
    fn write(path: &str, header: Result<String, Error>) {
        println!("cargo::rerun-if-changed={path}");
        let header = match header {
            Ok(header) => header,
            // The compiler reports the same error in clearer words.
            Err(Error::ParseSyntaxError { .. }) => return,
            Err(error) => panic!("{path}: {error}"),
        };
        if fs::read_to_string(path).is_ok_and(|present| present == header) {
            return;
        }
        // The build also works in a source tree that is not writable.
        let folder = Path::new(path).parent().expect("a header lies in a folder");
        if let Err(error) = fs::create_dir_all(folder).and_then(|()| fs::write(path, header)) {
            println!("cargo::warning={path} is not up to date: {error}");
        }
    }

    fn symbols_header() -> Result<String, Error> {
        let mut config = config(SYMBOLS_HEAD, "KAMAILIO_MEMCACHED_H");
        config.after_includes = Some(DECLARATIONS.into());
        // Rust wraps these types; C sees what is inside.
        for (rust_name, c_name) in [
            ("Exports", "struct kamailio_module_exports"),
            ("ExportedText", "char *"),
        ] {
            config.export.exclude.push(rust_name.into());
            config.export.rename.insert(rust_name.into(), c_name.into());
        }
        let builder = SYMBOLS
            .iter()
            .fold(Builder::new().with_config(config), Builder::with_src);
        generate(builder)
    }

    fn layout_header() -> Result<String, Error> {
        let source = LAYOUTS.map(|path| {
            let source = fs::read_to_string(path).expect("the sources are in the package");
            // The description of a file may only stand at its beginning.
            let lines = source.lines().filter(|line| !line.starts_with("//!"));
            lines.fold(String::new(), |text, line| text + line + "\n")
        });
        let source = source.concat().replace("pub(crate) ", "pub ");
        let items = Items::of(&source);
        // cbindgen understands an `Option` only of a function type that is spelled out. In C any
        // function pointer may be NULL.
        let source = items.names.iter().fold(source, |source, name| {
            source.replace(&format!("Option<{name}>"), name)
        });
        let copy = Path::new(&env::var_os("OUT_DIR").expect("cargo sets it")).join("layout.rs");
        fs::write(&copy, source).expect("cargo lets build scripts write there");

        let mut config = config(LAYOUT_HEAD, "KAMAILIO_LAYOUT_H");
        config.sys_includes = vec!["stdint.h".into()];
        config.export.include = items.names.clone();
        config.export.rename = items.c_names.clone();
        // In C they are not atomic.
        let rename = &mut config.export.rename;
        rename.insert("AtomicI32".into(), "int".into());
        let header = generate(Builder::new().with_config(config).with_src(copy))?;
        Ok(items.in_comments(header))
    }

    /// The configuration that both headers share.
    fn config(head: &str, include_guard: &str) -> Config {
        Config {
            language: Language::C,
            style: Style::Both,
            cpp_compat: true,
            header: Some(head.into()),
            include_guard: Some(include_guard.into()),
            no_includes: true,
            tab_width: 4,
            ..Config::default()
        }
    }

    fn generate(builder: Builder) -> Result<String, Error> {
        let mut bytes = Vec::new();
        builder.generate()?.write(&mut bytes);
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A source file's public items, and their names in C: `PvExport` becomes `kamailio_pv_export`,
    /// `PV_NULL` becomes `KAMAILIO_PV_NULL`.
    struct Items {
        /// In the order of the source.
        names: Vec<String>,
        c_names: HashMap<String, String>,
    }

    impl Items {
        fn of(source: &str) -> Self {
            let (mut names, mut c_names) = (Vec::new(), HashMap::new());
            for line in source.lines() {
                let mut words =
                    line.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
                if let (Some("pub"), Some(kind), Some(name)) =
                    (words.next(), words.next(), words.next())
                {
                    let c_name = match kind {
                        "const" => format!("KAMAILIO_{name}"),
                        _ => format!("kamailio{}", snake(name)),
                    };
                    c_names.insert(name.to_owned(), c_name);
                    names.push(name.to_owned());
                }
            }
            Self { names, c_names }
        }

        /// Replaces Rust's links to items by their names in C.
        fn in_comments(&self, mut header: String) -> String {
            for (name, c_name) in &self.c_names {
                header = header.replace(&format!("[`{name}`]"), &format!("`{c_name}`"));
            }
            header
        }
    }

    /// `PvExport` → `_pv_export`
    fn snake(name: &str) -> String {
        let mut snake = String::new();
        for letter in name.chars() {
            if letter.is_uppercase() {
                snake.push('_');
            }
            snake.push(letter.to_ascii_lowercase());
        }
        snake
    }
}
