//! Trace: who did what and when, for people, and as a number to compare two runs.

/// What has happened in a run.
#[derive(Debug, Default)]
pub struct Trace(Option<Vec<String>>);

impl Trace {
    /// One that keeps all lines.
    pub fn on() -> Self {
        Self(Some(Vec::new()))
    }

    /// Whether it keeps lines.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// One line more.
    pub fn add(&mut self, now: u64, who: Option<u32>, line: &str) {
        if let Some(lines) = &mut self.0 {
            let who = who.map_or_else(|| "world".into(), |pid| format!("{pid:>5}"));
            lines.push(format!("{:>12.3} ms  {who}  {line}", now as f64 / 1e6));
        }
    }

    /// The lines.
    pub fn into_lines(self) -> Vec<String> {
        self.0.unwrap_or_default()
    }
}

/// Bytes for the trace.
pub fn shown(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}... ({} bytes)", &text[..at], bytes.len()),
        None => text,
    }
}
