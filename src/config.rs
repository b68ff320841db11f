//! Parameters: what an operator may set, with defaults, units and refusals.
//!
//! The one place that knows a default, a range or a unit. Values are checked where they are
//! given, so that `kamailio -c` reports them; [`Parameters::settle`] then makes the [`Settings`]
//! that the rest works with.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::lifetime::Lifetime;
use crate::protocol::Store;
use crate::server::{self, ServerSpec};

/// The parameters by name, with the type that a configuration gives them.
pub const PARAMETERS: [(&str, Kind); 6] = [
    ("servers", Kind::Text),
    ("expire", Kind::Number),
    ("mode", Kind::Number),
    ("timeout", Kind::Number),
    ("memory", Kind::Number),
    ("stringify", Kind::Number),
];

/// The type of a parameter's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    Text,
    /// A 32-bit integer.
    Number,
}

/// A value as the configuration gave it.
#[derive(Debug, Clone, Copy)]
pub enum Given<'a> {
    /// A string.
    Text(&'a str),
    /// An integer.
    Number(i32),
}

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// A refused value; its `Display` is the line for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadParameter(String);

impl fmt::Display for BadParameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was set so far; everything else has its default.
#[derive(Debug, Default)]
pub struct Parameters {
    servers: Option<Vec<ServerSpec>>,
    expire: Option<Lifetime>,
    mode: Option<Store>,
    timeout: Option<Duration>,
    stringify: Option<bool>,
    memory: bool,
}

/// How a pool works: every parameter with a value.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its servers, one or more.
    pub servers: Vec<ServerSpec>,
    /// The lifetime of what is stored without one of its own.
    pub expire: Lifetime,
    /// How an assignment stores.
    pub mode: Store,
    /// The deadline of a whole operation.
    pub timeout: Duration,
    /// Whether numbers are read as strings.
    pub stringify: bool,
}

impl Parameters {
    /// Sets the parameter called `name`; the last value given counts.
    ///
    /// # Errors
    /// [`BadParameter`] for an unknown name, the wrong type, or a value out of range.
    pub fn set(&mut self, name: &str, given: Given<'_>) -> Result<(), BadParameter> {
        let value = Value { name, given };
        match name {
            "servers" => self.servers = Some(value.servers()?),
            "expire" => self.expire = Some(value.lifetime()?),
            "mode" => {
                let add = value.choice("0 (set) or 1 (add)")?;
                self.mode = Some(if add { Store::Add } else { Store::Set });
            }
            "timeout" => self.timeout = Some(value.millis()?),
            "memory" => self.memory = value.choice("0 or 1; it has no effect")?,
            "stringify" => self.stringify = Some(value.choice("0 or 1")?),
            _ => return Err(BadParameter(format!("there is no parameter '{name}'"))),
        }
        Ok(())
    }

    /// True when the old parameter `memory` asks for something that no longer exists.
    pub fn wants_memory(&self) -> bool {
        self.memory
    }

    /// The settings of the default pool.
    pub fn settle(&self) -> Settings {
        let localhost = || server::parse_list("localhost:11211").expect("a well-formed default");
        Settings {
            servers: self.servers.clone().unwrap_or_else(localhost),
            expire: self.expire.unwrap_or(Lifetime::DEFAULT),
            mode: self.mode.unwrap_or(Store::Set),
            timeout: self.timeout.unwrap_or(Duration::from_secs(5)),
            stringify: self.stringify.unwrap_or(false),
        }
    }
}

/// A value on its way to being accepted.
struct Value<'a> {
    name: &'a str,
    given: Given<'a>,
}

impl Value<'_> {
    fn refuse(&self, accepted: &str) -> BadParameter {
        let Self { name, given } = self;
        BadParameter(format!(
            "parameter '{name}': {given} is refused; accepted: {accepted}"
        ))
    }

    fn number(&self, range: RangeInclusive<i32>, accepted: &str) -> Result<i32, BadParameter> {
        match self.given {
            Given::Number(number) if range.contains(&number) => Ok(number),
            _ => Err(self.refuse(accepted)),
        }
    }

    fn choice(&self, accepted: &str) -> Result<bool, BadParameter> {
        self.number(0..=1, accepted).map(|number| number == 1)
    }

    fn millis(&self) -> Result<Duration, BadParameter> {
        let millis = self.number(1..=i32::MAX, "1 to 2147483647 milliseconds")?;
        Ok(Duration::from_millis(millis.unsigned_abs().into()))
    }

    fn lifetime(&self) -> Result<Lifetime, BadParameter> {
        const ACCEPTED: &str = "0 (never) to 2147483647 seconds";
        let seconds = self.number(0..=i32::MAX, ACCEPTED)?;
        Lifetime::new(seconds.into()).map_err(|_| self.refuse(ACCEPTED))
    }

    fn servers(&self) -> Result<Vec<ServerSpec>, BadParameter> {
        let Given::Text(text) = self.given else {
            return Err(self.refuse("a string"));
        };
        server::parse_list(text)
            .map_err(|bad| BadParameter(format!("parameter '{}': {bad}", self.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, given: Given<'_>) -> String {
        Parameters::default()
            .set(name, given)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn every_parameter_of_the_table_can_be_set() {
        let mut parameters = Parameters::default();
        for (name, kind) in PARAMETERS {
            let given = match kind {
                Kind::Text => Given::Text("[::1]:11212"),
                Kind::Number => Given::Number(1),
            };
            parameters.set(name, given).unwrap();
        }
        let settings = parameters.settle();
        assert_eq!(settings.servers[0].address.to_string(), "[::1]:11212");
        assert_eq!(settings.expire, Lifetime::new(1).unwrap());
        assert_eq!(settings.mode, Store::Add);
        assert_eq!(settings.timeout, Duration::from_millis(1));
        assert!(settings.stringify && parameters.wants_memory());
    }

    #[test]
    fn defaults_are_those_of_the_documentation() {
        let settings = Parameters::default().settle();
        assert_eq!(settings.servers[0].address.to_string(), "localhost:11211");
        assert_eq!(settings.expire, Lifetime::new(10_800).unwrap());
        assert_eq!(settings.mode, Store::Set);
        assert_eq!(settings.timeout, Duration::from_millis(5000));
        assert!(!settings.stringify);
    }

    #[test]
    fn a_refusal_names_parameter_value_and_accepted_form() {
        assert_eq!(refused("timeout", Given::Number(0)), {
            "parameter 'timeout': 0 is refused; accepted: 1 to 2147483647 milliseconds"
        });
        assert_eq!(refused("mode", Given::Number(7)), {
            "parameter 'mode': 7 is refused; accepted: 0 (set) or 1 (add)"
        });
        assert_eq!(refused("expire", Given::Text("60s")), {
            "parameter 'expire': '60s' is refused; accepted: 0 (never) to 2147483647 seconds"
        });
        for (name, number) in [
            ("expire", -1),
            ("stringify", 2),
            ("memory", -1),
            ("timeout", -5),
        ] {
            let line = refused(name, Given::Number(number));
            assert!(
                line.starts_with(&format!("parameter '{name}': {number} is refused")),
                "{line}"
            );
        }
        assert!(refused("servers", Given::Text("h:99999")).starts_with("parameter 'servers': "));
        assert!(refused("servers", Given::Number(11211)).contains("accepted: a string"));
        assert_eq!(
            refused("nonsense", Given::Number(1)),
            "there is no parameter 'nonsense'"
        );
    }
}
