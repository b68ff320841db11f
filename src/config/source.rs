//! Source: the pool from which another one warms. It must be there, and must not lead back.

use super::Parameters;
use super::given::{Assignment, BadParameter};
use crate::quoted::quoted;

/// The parameter that names the source.
const WARM_FROM: &str = "warm_from";

impl Parameters {
    /// Refuses a `warm_from` that names no pool declared so far, or one that would be asked for what it misses
    /// itself.
    pub(super) fn check_source(
        &self,
        pool: &str,
        value: &Assignment<'_>,
    ) -> Result<(), BadParameter> {
        let (WARM_FROM, Some(source)) = (value.name, value.given.text()) else {
            return Ok(());
        };
        let pools = self.settle();
        let names = pools.iter().map(|it| &*it.settings.name);
        let others: Vec<_> = names.filter(|name| *name != pool).collect();
        let named = |name: &str| pools.iter().find(|it| it.settings.name == name);
        let others = match others.is_empty() {
            true => "no pool yet".into(),
            false => others.join(", "),
        };
        let mut chain = vec![pool, source];
        loop {
            let last = chain[chain.len() - 1];
            if chain[..chain.len() - 1].contains(&last) {
                return Err(value.refuse_because(format_args!(
                    "pool {} would be asked for what it misses itself ({}); accepted: a pool \
                     declared before that does not lead back",
                    quoted(pool),
                    chain.join(" from ")
                )));
            }
            match named(last) {
                None => {
                    return Err(value.refuse_because(format_args!(
                        "unknown pool {}; accepted: a pool declared before, which are: {others}",
                        quoted(source)
                    )));
                }
                Some(it) => match &it.settings.warm_from {
                    Some(next) => chain.push(next),
                    None => return Ok(()),
                },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Given;

    #[test]
    fn a_pool_warms_from_one_that_is_declared_and_does_not_lead_back() {
        let mut parameters = Parameters::default();
        let mut set = |name: &str, text: &str| {
            let set = parameters.set(name, Given::Text(text));
            set.map_err(|refused| refused.to_string())
        };
        let line = set("warm_from", "old").unwrap_err();
        assert!(
            line.ends_with(
                "unknown pool 'old'; accepted: a pool declared before, which are: no pool yet"
            ),
            "{line}"
        );
        set("pool", "name=old;servers=a").unwrap();
        set("pool", "name=older;servers=b;warm_from=old").unwrap();
        let line = set("pool", "name=new;servers=b;warm_from=oldest").unwrap_err();
        assert!(line.contains("unknown pool 'oldest'"), "{line}");
        assert!(line.ends_with("default, old, older"), "{line}");
        set("pool", "name=new;servers=b;warm_from=default").unwrap();
        for (name, text, chain) in [
            ("pool", "name=x;servers=b;warm_from=x", "x from x"),
            ("warm_from", "default", "default from default"),
            ("warm_from", "new", "default from new from default"),
        ] {
            let line = set(name, text).unwrap_err();
            assert!(line.contains(&format!("({chain})")), "{line}");
        }
        set("warm_from", "older").unwrap();
        let pools = parameters.settle();
        let sources = pools.iter().map(|pool| pool.settings.warm_from.as_deref());
        let expected = [Some("older"), None, Some("old"), Some("default")];
        assert_eq!(sources.collect::<Vec<_>>(), expected);
    }
}
