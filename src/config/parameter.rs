//! `Parameter` is one row of the table: the name, the accepted values, the default, and the field
//! that a value sets.
//!
//! The accepted values are written down once. The check, the text of a refusal, and the range
//! within which the host accepts changes all come from there. The rows are in
//! [`super::parameter_table`].

use std::ffi::CStr;
use std::fmt;
use std::ops::RangeInclusive;

use super::given::{Assignment, BadParameter, Given};
use super::settings::{DeclaredPool, Settings};

/// A parameter of the module.
#[derive(Debug)]
pub struct Parameter {
    /// Its name in the host's form.
    pub name: &'static CStr,
    /// A short description.
    pub about: &'static str,
    /// Which pools have it.
    pub scope: Scope,
    /// Which values are accepted, and what they set.
    pub form: Form,
}

/// Which pools have a parameter. The plain parameters are those of the default pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every pool has it. A pool that leaves it out takes the value of the plain parameter.
    Inherited,
    /// Every pool has it. A pool that leaves it out is without it.
    Own,
    /// Only the default pool has it, because it concerns the whole module.
    Plain,
}

/// The accepted values, the default, and what a value sets.
#[derive(Debug)]
pub enum Form {
    /// An integer.
    Number(Number),
    /// One word of a list. The first word is the default.
    Word(Choices),
    /// A text that a function checks.
    Text {
        /// The accepted form, for a refusal.
        accepted: &'static str,
        /// The default. With `None` the parameter is not set.
        default: Option<&'static str>,
        /// Checks a text.
        check: fn(&str) -> Result<Put, BadText>,
    },
    /// The specification of a further pool. The parameter may be given several times.
    Pool,
}

/// An integer: its range, and the field it sets.
#[derive(Debug)]
pub struct Number {
    range: RangeInclusive<i32>,
    default: i32,
    /// The unit in words, or empty.
    unit: &'static str,
    /// Numbers with a special meaning.
    names: &'static [(i32, &'static str)],
    /// True if operators may change it while the host runs.
    changeable: bool,
    set: fn(&mut Settings, i32),
}

/// The accepted words, each with the function that sets it.
pub(super) type Choices = &'static [(&'static str, fn(&mut Settings))];

/// Puts the result of a check into a pool.
pub(super) type Put = Box<dyn Fn(&mut DeclaredPool)>;

/// Why a text is refused.
#[derive(Debug)]
pub enum BadText {
    /// It does not have the accepted form.
    NotAccepted,
    /// The reason and what is accepted, in one line.
    Because(String),
}

/// A value that was accepted.
pub(super) enum Checked {
    /// An integer, and the function that sets it.
    Number(i32, fn(&mut Settings, i32)),
    /// The function that sets a word.
    Word(fn(&mut Settings)),
    /// Puts a text into a pool.
    Text(Put),
}

impl Checked {
    /// Sets the value in `pool`.
    pub(super) fn put(&self, pool: &mut DeclaredPool) {
        match self {
            Self::Number(number, set) => set(&mut pool.settings, *number),
            Self::Word(set) => set(&mut pool.settings),
            Self::Text(put) => put(pool),
        }
    }
}

impl fmt::Debug for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number, _) => number.fmt(f),
            Self::Word(_) | Self::Text(_) => f.write_str("(text)"),
        }
    }
}

impl Parameter {
    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name.to_str().unwrap_or_default()
    }

    /// The number, if the parameter is one.
    pub const fn number(&self) -> Option<&Number> {
        match &self.form {
            Form::Number(number) => Some(number),
            _ => None,
        }
    }

    /// Its default. `None` means that the parameter is not set.
    pub fn default(&self) -> Option<Given<'static>> {
        match &self.form {
            Form::Number(number) => Some(Given::Number(number.default)),
            Form::Word(words) => words.first().map(|(word, _)| Given::Text(word)),
            Form::Text { default, .. } => default.map(Given::Text),
            Form::Pool => None,
        }
    }

    /// The accepted values in words.
    pub fn accepted(&self) -> String {
        match &self.form {
            Form::Number(number) => number.to_string(),
            Form::Word(words) => alternatives(words.iter().map(|(word, _)| (*word).to_owned())),
            Form::Text { accepted, .. } => (*accepted).to_owned(),
            Form::Pool => super::POOL_FORM.to_owned(),
        }
    }

    /// Checks a value.
    pub(super) fn check(&self, assignment: &Assignment<'_>) -> Result<Checked, BadParameter> {
        self.parse(assignment.given).map_err(|bad| match bad {
            BadText::NotAccepted if self.is_number_in_quotes(assignment.given) => {
                assignment.refuse(&format!("{}, without quotes", self.accepted()))
            }
            BadText::NotAccepted => assignment.refuse(&self.accepted()),
            BadText::Because(why) => assignment.refuse_because(why),
        })
    }

    /// True if the value is an accepted number but for the quotes: in quotes it is a string.
    fn is_number_in_quotes(&self, given: Given<'_>) -> bool {
        let Given::Text(text) = given else {
            return false;
        };
        self.parse(Given::Word(text)).is_ok() && self.number().is_some()
    }

    fn parse(&self, given: Given<'_>) -> Result<Checked, BadText> {
        let checked = match &self.form {
            Form::Number(number) => {
                let given = given.number().filter(|given| number.range.contains(given));
                given.map(|given| Checked::Number(given, number.set))
            }
            Form::Word(words) => {
                let given = given.text();
                let word = words.iter().find(|(word, _)| given == Some(*word));
                word.map(|(_, set)| Checked::Word(*set))
            }
            Form::Text { check, .. } => {
                let text = given.text().map(check).transpose()?;
                text.map(Checked::Text)
            }
            Form::Pool => None,
        };
        checked.ok_or(BadText::NotAccepted)
    }
}

impl Number {
    /// The accepted numbers.
    pub fn range(&self) -> RangeInclusive<i32> {
        self.range.clone()
    }

    /// True if operators may change it while the host runs.
    pub const fn is_changeable(&self) -> bool {
        self.changeable
    }

    /// Sets the field to `number`, which must be within the range.
    pub fn apply(&self, number: i32, settings: &mut Settings) {
        (self.set)(settings, number);
    }

    /// The number, followed by its meaning if it has a special one.
    fn with_name(&self, number: i32) -> String {
        match self.names.iter().find(|(named, _)| *named == number) {
            Some((_, name)) => format!("{number} ({name})"),
            None => number.to_string(),
        }
    }
}

/// The accepted numbers: `0 or 1`, `0 (never) to 9 seconds`, `0 to 9 seconds, or -1 (never)`.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (*self.range.start(), *self.range.end());
        if self.range.clone().nth(3).is_none() {
            let all = self.range.clone().map(|number| self.with_name(number));
            return f.write_str(&alternatives(all));
        }
        let unit = [" ", self.unit].concat();
        let unit = unit.trim_end();
        if least < 0 {
            write!(f, "0 to {most}{unit}, or {}", self.with_name(least))
        } else {
            write!(f, "{} to {most}{unit}", self.with_name(least))
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
fn alternatives(all: impl Iterator<Item = String>) -> String {
    let mut all: Vec<_> = all.collect();
    match all.pop() {
        Some(last) if !all.is_empty() => format!("{} or {last}", all.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// The beginning of a row, which one of its methods completes.
pub(super) struct Title {
    name: &'static CStr,
    about: &'static str,
}

/// The row of the parameter called `name`.
pub(super) const fn row(name: &'static CStr) -> Title {
    Title { name, about: "" }
}

impl Title {
    /// The short description.
    pub(super) const fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    const fn with(self, form: Form) -> Parameter {
        Parameter {
            name: self.name,
            about: self.about,
            scope: Scope::Inherited,
            form,
        }
    }

    /// An integer, which `set` puts into the settings.
    pub(super) const fn number(
        self,
        range: RangeInclusive<i32>,
        default: i32,
        set: fn(&mut Settings, i32),
    ) -> Parameter {
        self.with(Form::Number(Number {
            range,
            default,
            unit: "",
            names: &[],
            changeable: false,
            set,
        }))
    }

    /// One of `words`. The first word is the default.
    pub(super) const fn word(self, words: Choices) -> Parameter {
        self.with(Form::Word(words))
    }

    /// A text that `check` accepts.
    pub(super) const fn text(
        self,
        accepted: &'static str,
        default: Option<&'static str>,
        check: fn(&str) -> Result<Put, BadText>,
    ) -> Parameter {
        self.with(Form::Text {
            accepted,
            default,
            check,
        })
    }

    /// The specification of a further pool.
    pub(super) const fn pool(self) -> Parameter {
        self.with(Form::Pool).scope(Scope::Plain)
    }
}

/// Details of a row.
impl Parameter {
    pub(super) const fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    pub(super) const fn unit(mut self, unit: &'static str) -> Self {
        self.number_mut().unit = unit;
        self
    }

    pub(super) const fn names(mut self, names: &'static [(i32, &'static str)]) -> Self {
        self.number_mut().names = names;
        self
    }

    pub(super) const fn changeable(mut self) -> Self {
        self.number_mut().changeable = true;
        self
    }

    const fn number_mut(&mut self) -> &mut Number {
        match &mut self.form {
            Form::Number(number) => number,
            // The table is a constant, so this stops the build and never a process.
            _ => panic!("no number"),
        }
    }
}
