//! `Answer` has the values of a script's expressions: null, a number, or bytes.
//!
//! A reply header can contain neither line ends nor NUL, and it shows null as `<null>`. So each
//! value is sent as one word: its type, followed by a string in base64. (The core's hex digits are
//! wrong in 5.4 for bytes from 0x80 on.) `routes` writes the script that does this, and
//! `Answer::read` reads the result.

use std::fmt;
use std::ops::Index;
use std::time::Duration;

use super::Script;
use crate::pid::Pid;
use crate::sip::Response;

/// A value of the script language.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// `$null`.
    Null,
    /// A number.
    Int(i64),
    /// A string: any bytes.
    Str(Vec<u8>),
}

impl Value {
    /// The bytes, if it is a string.
    pub fn bytes(&self) -> Option<&[u8]> {
        match self {
            Value::Str(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn int(&self) -> Option<i64> {
        match *self {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }

    /// True if it is `$null`.
    pub fn is_null(&self) -> bool {
        *self == Value::Null
    }

    fn decode(word: &str) -> Option<Value> {
        let (kind, text) = word.split_once(':')?;
        match kind {
            "null" => Some(Value::Null),
            "int" => Some(Value::Int(text.parse().ok()?)),
            "str" => Some(Value::Str(base64(text)?)),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => formatter.write_str("$null"),
            Value::Int(number) => number.fmt(formatter),
            Value::Str(bytes) => write!(formatter, "\"{}\"", bytes.escape_ascii()),
        }
    }
}

impl PartialEq<&str> for Value {
    fn eq(&self, other: &&str) -> bool {
        self.bytes() == Some(other.as_bytes())
    }
}

impl PartialEq<String> for Value {
    fn eq(&self, other: &String) -> bool {
        self.bytes() == Some(other.as_bytes())
    }
}

impl PartialEq<&[u8]> for Value {
    fn eq(&self, other: &&[u8]) -> bool {
        self.bytes() == Some(other)
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Value {
    fn eq(&self, other: &&[u8; N]) -> bool {
        self.bytes() == Some(&other[..])
    }
}

impl PartialEq<i64> for Value {
    fn eq(&self, other: &i64) -> bool {
        self.int() == Some(*other)
    }
}

/// The values of a script's expressions. The key is the text of the expression:
/// `answer["$mct(a)"]`.
#[derive(Debug, Clone)]
pub struct Answer {
    values: Vec<(String, Value)>,
    response: Response,
}

impl Answer {
    /// The process that ran the script. `$pp` must be one of the expressions.
    pub fn process(&self) -> Pid {
        let number = self["$pp"].int().and_then(|number| number.try_into().ok());
        Pid(number.expect("a process id"))
    }

    /// The response that carried the values.
    pub fn response(&self) -> &Response {
        &self.response
    }

    /// How long the request took.
    pub fn elapsed(&self) -> Duration {
        self.response.elapsed
    }

    /// All values, in the order of the expressions.
    pub fn values(&self) -> Vec<Value> {
        self.values.iter().map(|(_, value)| value.clone()).collect()
    }

    pub(super) fn read(expressions: &[String], response: Response) -> Result<Answer, String> {
        if response.code != 200 {
            return Err(format!("not a 200: {response:?}"));
        }
        let value = |(index, expression): (usize, &String)| {
            let word = response.text(&header(index)).unwrap_or("nothing");
            let value = Value::decode(word);
            let value = value.ok_or_else(|| format!("{expression} came back as {word:?}"))?;
            Ok((expression.clone(), value))
        };
        let values = expressions.iter().enumerate().map(value);
        Ok(Answer {
            values: values.collect::<Result<_, String>>()?,
            response,
        })
    }
}

impl Index<&str> for Answer {
    type Output = Value;

    #[track_caller]
    fn index(&self, expression: &str) -> &Value {
        let found = self.values.iter().find(|(text, _)| text == expression);
        match found {
            Some((_, value)) => value,
            None => panic!("{expression:?} was not asked for, only {:?}", self.values),
        }
    }
}

fn header(index: usize) -> String {
    format!("X-Value-{index}")
}

/// The routes that run a script: `RUN_n` and `TELL_n`.
///
/// The statements have their own route, so that they may contain `return`. Each expression is
/// evaluated once and stored in an AVP, which keeps its type, null, and every byte.
pub(super) fn routes(index: usize, script: &Script) -> String {
    let mut text = String::new();
    if !script.statements.trim().is_empty() {
        text += &format!("route[RUN_{index}] {{\n{}\n}}\n", script.statements);
    }
    text += &format!("route[TELL_{index}] {{\n");
    for (at, expression) in script.expressions.iter().enumerate() {
        let name = header(at);
        text += &format!("    $avp(v{at}) = {expression};\n");
        text += &format!(
            "    if ($avp(v{at}) == $null) append_to_reply(\"{name}: null:\\r\\n\");\n    \
             else if (is_int(\"$avp(v{at})\")) append_to_reply(\"{name}: int:$avp(v{at})\\r\\n\");\n    \
             else append_to_reply(\"{name}: str:$(avp(v{at}){{s.encode.base64}})\\r\\n\");\n"
        );
    }
    text += "    sl_send_reply(\"200\", \"OK\");\n}\n";
    text
}

/// The lines of the request route that call these routes.
pub(super) fn branch(index: usize, script: &Script) -> String {
    let run = match script.statements.trim() {
        "" => String::new(),
        _ => format!("route(RUN_{index}); "),
    };
    format!(
        "    if ($rU == \"{}\") {{ {run}route(TELL_{index}); exit; }}\n",
        script.name
    )
}

fn base64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=').bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut held, mut bits) = (0_u32, 0);
    for digit in digits {
        let value = DIGITS.iter().position(|&known| known == digit)?;
        held = held << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff).try_into().ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_decoded() {
        assert_eq!(Value::decode("null:"), Some(Value::Null));
        assert_eq!(Value::decode("int:-5"), Some(Value::Int(-5)));
        assert_eq!(Value::decode("str:"), Some(Value::Str(vec![])));
        assert_eq!(Value::decode("str:YQ0A").unwrap(), b"a\r\0");
        assert_eq!(Value::decode("str:/w==").unwrap(), b"\xff");
        assert_eq!(Value::decode("str:+/8=").unwrap(), b"\xfb\xff");
        assert_eq!(Value::decode("str:6!"), None);
        assert_eq!(Value::decode("nothing"), None);
    }
}
