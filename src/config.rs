//! Parameters: what an operator may set, with defaults, units and refusals.
//!
//! The one place that knows a default, a range or a unit. Values are checked where they are
//! given, so that `kamailio -c` reports them; [`Parameters::settle`] then makes the [`Settings`]
//! that the rest works with. A pool takes from the plain parameters what it leaves out,
//! whichever of them comes first in the configuration.

mod given;
mod names;
mod settings;
mod tunable;
mod values;

pub(crate) use given::BadParameter;
pub use given::Given;
#[cfg(test)]
pub(crate) use names::NAMES;
pub(crate) use settings::{DeclaredPool, Failover, Rejoin, Settings};
pub(crate) use tunable::Tunable;

use given::Value;
use values::Values;

/// The name of the pool that is made of the plain parameters.
pub(crate) const DEFAULT_POOL: &str = "default";

/// The most pools there may be, the default one included.
pub(crate) const MAX_POOLS: usize = 64;

/// What was set so far.
#[derive(Debug, Default)]
pub struct Parameters {
    plain: Values,
    pools: Vec<(String, Values)>,
    memory: bool,
    event_callback: Option<String>,
    /// What stood in front of `=>` in variables' names and was no pool then.
    keys: Vec<String>,
}

impl Parameters {
    /// Sets the parameter called `name`; the last value given counts.
    ///
    /// # Errors
    /// [`BadParameter`] for an unknown name, the wrong type, or a value out of range.
    pub fn set(&mut self, name: &str, given: Given<'_>) -> Result<(), BadParameter> {
        let value = Value {
            pool: None,
            name,
            given,
        };
        match name {
            "memory" => self.memory = value.choice("0 or 1; it has no effect")?,
            "event_callback" => self.event_callback = Some(function_name(&value)?),
            "pool" => {
                let pool = self.pool(&value)?;
                self.pools.push(pool);
            }
            _ => self.plain.set(&value)?,
        }
        Ok(())
    }

    /// True when the old parameter `memory` asks for something that no longer exists.
    pub fn wants_memory(&self) -> bool {
        self.memory
    }

    /// The script function that is called for events.
    pub fn event_callback(&self) -> Option<&str> {
        self.event_callback.as_deref()
    }

    /// The index of the pool called `name` among [`Self::settle`]'s.
    pub fn pool_index(&self, name: &str) -> Option<usize> {
        let declared = self.pools.iter().position(|(known, _)| known == name)?;
        Some(declared + 1)
    }

    /// Remembers that `key` stood where a pool could have stood, and was taken for a key.
    pub fn note_key(&mut self, key: &str) {
        if !self.keys.iter().any(|known| known == key) {
            self.keys.push(key.to_owned());
        }
    }

    /// All pools, the default one first.
    pub fn settle(&self) -> Vec<DeclaredPool> {
        let default = self.plain.settle(DEFAULT_POOL, &Values::default());
        let pools = self
            .pools
            .iter()
            .map(|(name, values)| values.settle(name, &self.plain));
        std::iter::once(default).chain(pools).collect()
    }

    /// `name=calls;servers=…;…`
    fn pool(&self, value: &Value<'_>) -> Result<(String, Values), BadParameter> {
        const FORM: &str =
            "name=NAME;servers=LIST or servers_file=PATH, and further PARAMETER=VALUE";
        let items = value
            .text(FORM)?
            .split(';')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let mut items = items.map(|item| item.split_once('=').ok_or_else(|| value.refuse(FORM)));
        let name = match items.next().transpose()? {
            Some(("name", name)) if is_pool_name(name) => name,
            _ => {
                let accepted = format!("{FORM}; a NAME has letters, digits, '_', '.', '-'");
                return Err(value.refuse(&accepted));
            }
        };
        let refuse = |why: String| Err(value.refuse_because(why));
        if name == DEFAULT_POOL || self.pool_index(name).is_some() {
            return refuse(format!(
                "pool '{name}' is there already; accepted: another name"
            ));
        }
        if self.pools.len() + 1 == MAX_POOLS {
            return refuse(format!(
                "'{name}' is one pool too many; accepted: {MAX_POOLS} in all"
            ));
        }
        if self.keys.iter().any(|key| key == name) {
            return refuse(format!(
                "'{name}' was used as a key before ('{name}=>…'); accepted: pools that are \
                 declared before variables use them"
            ));
        }
        let mut values = Values::default();
        for item in items {
            let (parameter, word) = item?;
            let (parameter, given) = (parameter.trim_end(), Given::Word(word.trim_start()));
            values.set(&Value {
                pool: Some(name),
                name: parameter,
                given,
            })?;
        }
        if !values.has_servers() {
            return refuse(format!("pool '{name}' has no servers; accepted: {FORM}"));
        }
        Ok((name.to_owned(), values))
    }
}

fn is_pool_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(legal)
}

fn function_name(value: &Value<'_>) -> Result<String, BadParameter> {
    let accepted = "the name of a function of the KEMI script";
    let name = value.text(accepted)?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(value.refuse(accepted));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests;
