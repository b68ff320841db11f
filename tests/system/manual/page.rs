//! A page of the manual, taken apart: headings, sections, tables, examples.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A file in Markdown.
#[derive(Debug)]
pub struct Page {
    /// Its path, from the folder of the project on.
    pub path: PathBuf,
    text: String,
}

/// A block of code.
#[derive(Debug)]
pub struct Example<'p> {
    /// What stands behind its opening fence.
    pub language: &'p str,
    pub lines: Vec<&'p str>,
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// What stands between backticks in the first column of the tables of a text.
pub fn names_in_first_column(text: &str) -> BTreeSet<&str> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next()).collect()
}

/// The cells of a row of a table.
pub fn cells(row: &str) -> Vec<String> {
    let cells = row.trim_matches('|').split('|');
    cells.map(|cell| cell.trim().to_owned()).collect()
}

impl Page {
    /// The page in this file.
    #[track_caller]
    pub fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = fs::read_to_string(&path);
        let text = text.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// A page that is in no file, as if it had this path.
    pub fn of(path: impl Into<PathBuf>, text: String) -> Self {
        let path = path.into();
        Self { path, text }
    }

    /// The README and all pages of `doc/`.
    pub fn all() -> Vec<Self> {
        let mut paths = files(Path::new("doc"));
        paths.retain(|path| path.extension().is_some_and(|it| it == "md"));
        paths.push("README.md".into());
        paths.into_iter().map(Self::at).collect()
    }

    /// Its name, for messages.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its lines outside of examples.
    pub fn prose(&self) -> Vec<&str> {
        self.taken_apart().0
    }

    pub fn examples(&self) -> Vec<Example<'_>> {
        self.taken_apart().1
    }

    fn taken_apart(&self) -> (Vec<&str>, Vec<Example<'_>>) {
        let (mut prose, mut examples) = (Vec::new(), Vec::new());
        let mut lines = self.text.lines();
        while let Some(line) = lines.next() {
            match line.strip_prefix("```") {
                Some(language) => {
                    let lines = lines.by_ref().take_while(|line| *line != "```").collect();
                    examples.push(Example { language, lines });
                }
                None => prose.push(line),
            }
        }
        (prose, examples)
    }

    /// Its headings of that level or, for 0, of any, without the marks.
    pub fn headings(&self, level: usize) -> Vec<&str> {
        let titles = self.prose().into_iter().filter_map(|line| {
            let title = line.trim_start_matches('#');
            let marks = line.len() - title.len();
            let wanted = marks > 0 && (level == 0 || level == marks);
            wanted.then_some(title.trim())
        });
        titles.collect()
    }

    /// Fails unless each of its links, but those to other hosts, leads to a file and a heading. Returns how
    /// many there are.
    #[track_caller]
    pub fn follow_links(&self) -> usize {
        let prose = self.prose().join("\n");
        let mut targets = Vec::new();
        for (start, end) in [("](", ')'), ("src=\"", '"')] {
            let pieces = prose.split(start).skip(1);
            targets.extend(pieces.filter_map(|piece| piece.split(end).next()));
        }
        targets.retain(|target| !target.starts_with("https://"));
        for target in &targets {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let folder = self.path.parent().expect("it is a file");
            let anchors = match file {
                "" => self.anchors(),
                _ if heading.is_empty() => Vec::new(),
                file => Self::at(folder.join(file)).anchors(),
            };
            let found = heading.is_empty() || anchors.iter().any(|anchor| anchor == heading);
            assert!(found, "{}: {target}", self.name());
            assert!(folder.join(file).exists() || file.is_empty(), "{target}");
        }
        targets.len()
    }

    /// The names by which links reach its headings, as GitHub makes them: the second one of a name ends
    /// with `-1`.
    fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        let mut seen = BTreeMap::new();
        for heading in self.headings(0) {
            let kept = heading.chars().filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                _ => c.is_alphanumeric().then_some(c.to_ascii_lowercase()),
            });
            let name: String = kept.collect();
            let before = seen.entry(name.clone()).or_insert(0);
            anchors.push(match *before {
                0 => name,
                number => format!("{name}-{number}"),
            });
            *before += 1;
        }
        anchors
    }

    /// What stands below a heading, up to the next one, as a page of its own.
    #[track_caller]
    pub fn section(&self, heading: &str) -> Self {
        let title = format!(" {heading}");
        let is_it = |line: &str| line.trim_start_matches('#') == title;
        let mut lines = self.text.lines().skip_while(|line| !is_it(line));
        assert!(lines.next().is_some(), "no heading '{heading}'");
        let mut in_example = false;
        let within = lines.take_while(|line| {
            in_example ^= line.starts_with("```");
            in_example || !line.starts_with('#')
        });
        Self {
            path: self.path.clone(),
            text: within.collect::<Vec<_>>().join("\n"),
        }
    }
}
