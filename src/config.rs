//! `Parameters` are what an operator has set, with defaults for the rest.
//!
//! [`Parameter::ALL`] is the one place that has the names, defaults, ranges and units. A value is
//! checked as soon as it is given, so that `kamailio -c` reports a bad one. Then
//! [`Parameters::settle`] makes the pools with their [`Settings`]. What a pool leaves out, it takes
//! from the plain parameters, wherever these stand in the configuration.

mod checks;
mod given;
mod parameter;
mod parameter_table;
mod settings;
mod source;
mod tunable;
mod values;

pub(crate) use given::BadParameter;
pub use given::Given;
pub(crate) use parameter::Parameter;
pub(crate) use settings::{DeclaredPool, Failover, Protocol, Rejoin, Settings};
pub(crate) use tunable::Tunable;

use given::Assignment;
use parameter::{Form, Scope};
use values::Values;

/// The name of the pool that is made of the plain parameters.
pub(crate) const DEFAULT_POOL: &str = "default";

/// The largest number of pools, including the default pool.
pub(crate) const MAX_POOLS: usize = 64;

/// The accepted form of a pool.
const POOL_FORM: &str = "name=NAME;servers=LIST or servers_file=PATH[;PARAMETER=VALUE]...";

/// What was set so far.
#[derive(Debug)]
pub struct Parameters {
    plain: Values,
    pools: Vec<(String, Values)>,
    /// Texts in front of `=>` that were taken for keys, because no pool of that name was declared.
    keys: Vec<String>,
    /// Whether the servers of the default pool were given.
    has_servers: bool,
    /// The pools about which a doubt was told.
    doubted: Vec<String>,
}

impl Default for Parameters {
    /// Every parameter has its default, and the default pool is the only one.
    fn default() -> Self {
        Self {
            plain: Values::defaults(),
            pools: Vec::new(),
            keys: Vec::new(),
            has_servers: false,
            doubted: Vec::new(),
        }
    }
}

impl Parameters {
    /// Sets the parameter called `name`. The value given last counts.
    ///
    /// # Errors
    /// [`BadParameter`] for an unknown name, the wrong type, or a value out of range.
    pub fn set(&mut self, name: &str, given: Given<'_>) -> Result<(), BadParameter> {
        let assignment = Assignment {
            pool: None,
            name,
            given,
        };
        let row = row_of(&assignment, |_| true)?;
        self.set_row(row, given)
    }

    /// Sets the parameter of a row of [`Parameter::ALL`].
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn set_row(&mut self, row: usize, given: Given<'_>) -> Result<(), BadParameter> {
        let parameter = &Parameter::ALL[row];
        let assignment = Assignment {
            pool: None,
            name: parameter.name(),
            given,
        };
        if let Form::Pool = parameter.form {
            let pool = self.pool(&assignment)?;
            self.pools.push(pool);
            return Ok(());
        }
        self.check_source(DEFAULT_POOL, &assignment)?;
        self.plain.set(row, &assignment)?;
        self.has_servers |= matches!(parameter.name(), "servers" | "servers_file");
        let conflict = |pool: DeclaredPool| match (&*pool.settings.name, pool.conflict()?) {
            (DEFAULT_POOL, why) => Some(why),
            (name, why) => Some(format!("pool '{name}': {why}")),
        };
        match self.settle().into_iter().find_map(conflict) {
            Some(why) => Err(assignment.refuse_because(why)),
            None => Ok(()),
        }
    }

    /// What is probably not meant, of all that is set so far; of each pool once.
    pub(crate) fn doubts_so_far(&mut self) -> Vec<String> {
        let default = !self.has_servers;
        let pools = self.settle().into_iter().skip(default.into());
        self.new_doubts(pools.collect())
    }

    /// The same, now that the configuration has been read.
    pub(crate) fn doubts(&mut self) -> Vec<String> {
        let pools = self.settle();
        self.new_doubts(pools)
    }

    fn new_doubts(&mut self, pools: Vec<DeclaredPool>) -> Vec<String> {
        let doubted = pools.into_iter().filter_map(|pool| {
            let words = pool.doubt()?;
            let is_new = !self.doubted.contains(&pool.settings.name);
            is_new.then(|| {
                self.doubted.push(pool.settings.name);
                words
            })
        });
        doubted.collect()
    }

    /// What the first of the pools lacks, now that the configuration has been read; a line for the operator.
    pub(crate) fn lack(&self) -> Option<String> {
        self.settle().iter().find_map(DeclaredPool::lack)
    }

    /// Sets a parameter as if the configuration had set it to `number`. Returns the value for each
    /// pool: a pool that has its own value keeps it.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub fn tune(&mut self, tunable: Tunable, number: i32) -> Result<Vec<i32>, BadParameter> {
        self.set_row(tunable.row(), Given::Number(number))?;
        let pools = self.pools.iter().map(|(_, values)| values);
        let all = std::iter::once(&self.plain).chain(pools);
        Ok(all
            .map(|values| values.number(tunable, &self.plain))
            .collect())
    }

    /// The index of the pool called `name` in the result of [`Self::settle`].
    pub fn pool_index(&self, name: &str) -> Option<usize> {
        let declared = self.pools.iter().map(|(pool, _)| &**pool);
        std::iter::once(DEFAULT_POOL)
            .chain(declared)
            .position(|pool| pool == name)
    }

    /// Records that `key` was taken for a key where a pool could have been named.
    pub fn note_key(&mut self, key: &str) {
        if !self.keys.iter().any(|noted| noted == key) {
            self.keys.push(key.to_owned());
        }
    }

    /// All pools, the default one first.
    pub fn settle(&self) -> Vec<DeclaredPool> {
        let default = self.plain.settle(DEFAULT_POOL, &self.plain);
        let pools = self
            .pools
            .iter()
            .map(|(name, values)| values.settle(name, &self.plain));
        std::iter::once(default).chain(pools).collect()
    }

    /// Reads the specification of a pool, `name=calls;servers=…;…`.
    fn pool(&self, value: &Assignment<'_>) -> Result<(String, Values), BadParameter> {
        let text = value.given.text().ok_or_else(|| value.refuse(POOL_FORM))?;
        let items = text
            .split(';')
            .map(str::trim)
            .filter(|item| !item.is_empty());
        let mut items = items.map(|item| match item.split_once('=') {
            Some((parameter, word)) => Ok((parameter.trim_end(), word.trim_start())),
            None => Err(value.refuse(POOL_FORM)),
        });
        let name = match items.next().transpose()? {
            Some(("name", name)) if is_pool_name(name) => name,
            _ => {
                let accepted =
                    format!("{POOL_FORM} (NAME: up to 64 letters, digits, '_', '.', '-')");
                return Err(value.refuse(&accepted));
            }
        };
        let refuse = |why: String| Err(value.refuse_because(why));
        if self.pool_index(name).is_some() {
            return refuse(format!(
                "pool '{name}' already exists; accepted: another name"
            ));
        }
        if self.pools.len() + 1 == MAX_POOLS {
            return refuse(format!(
                "pool '{name}' is one too many; accepted: {MAX_POOLS} pools, the default pool \
                 included"
            ));
        }
        if self.keys.iter().any(|key| key == name) {
            return refuse(format!(
                "pool '{name}' is declared after its first use ('{name}=>…'); accepted: a \
                 declaration before the first use"
            ));
        }
        let mut values = Values::empty();
        for item in items {
            let (parameter, word) = item?;
            let assignment = Assignment {
                pool: Some(name),
                name: parameter,
                given: Given::Word(word),
            };
            let row = row_of(&assignment, |parameter| parameter.scope != Scope::Plain)?;
            self.check_source(name, &assignment)?;
            values.set(row, &assignment)?;
        }
        let pool = values.settle(name, &self.plain);
        if let Some(why) = pool.conflict() {
            return refuse(format!("pool '{name}': {why}"));
        }
        if pool.servers.is_empty() {
            return refuse(format!(
                "pool '{name}' has no servers; accepted: {POOL_FORM}"
            ));
        }
        Ok((name.to_owned(), values))
    }
}

/// The row of the assigned parameter. It must be one of those for which `takes` is true.
fn row_of(
    assignment: &Assignment<'_>,
    takes: fn(&Parameter) -> bool,
) -> Result<usize, BadParameter> {
    let row = Parameter::position(assignment.name).filter(|row| takes(&Parameter::ALL[*row]));
    row.ok_or_else(|| {
        let accepted = Parameter::ALL.iter().filter(|parameter| takes(parameter));
        let accepted: Vec<_> = accepted.map(Parameter::name).collect();
        assignment.refuse_because(format_args!(
            "unknown parameter; accepted: {}",
            accepted.join(", ")
        ))
    })
}

fn is_pool_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(legal)
}

#[cfg(test)]
mod tests;
