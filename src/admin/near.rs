//! Near: operators look at the near caches, and empty them.

use super::Refused;
use crate::cache::Cache;
use crate::quoted::quoted;

/// The near cache of a pool.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NearCache {
    /// The name of the pool.
    pub pool: String,
    /// How many items it can hold.
    pub slots: usize,
    /// How many items it holds, those included that are over.
    pub used: usize,
    /// Reads that it has answered.
    pub hits: u64,
    /// Reads that it could not answer.
    pub misses: u64,
    /// The size of its memory, in bytes.
    pub memory: usize,
}

/// The near caches of all pools that have one. With the word `clear`, they are emptied first.
///
/// # Errors
/// Another word, or no pool has a near cache.
pub(crate) fn near(cache: &mut Cache, word: Option<&str>) -> Result<Vec<NearCache>, Refused> {
    let pools = 0..cache.pools().len();
    match word {
        None => {}
        Some("clear") => pools.clone().for_each(|pool| cache.clear_near(pool)),
        Some(other) => {
            let other = quoted(other);
            let reason = format!("unknown argument {other}; accepted: clear, or none");
            return Err(Refused::because(reason));
        }
    }
    let caches = pools.filter_map(|pool| {
        let (table, pool) = (cache.near(pool)?.table(), &cache.pools()[pool]);
        Some(NearCache {
            pool: pool.settings().name.clone(),
            slots: table.slots(),
            used: table.used(),
            hits: pool.stats().near_hits.value(),
            misses: pool.stats().near_misses.value(),
            memory: table.memory(),
        })
    });
    let caches: Vec<_> = caches.collect();
    if caches.is_empty() {
        let reason = "no pool has a near cache: near_size is 0";
        return Err(Refused::because(reason.into()));
    }
    Ok(caches)
}

#[cfg(test)]
mod tests {
    use super::super::tests::cache;
    use super::*;
    use crate::shared::Shared;
    use crate::shared::near::Table;

    #[test]
    fn only_pools_with_a_near_cache_are_shown() {
        let mut cache = cache(&[("servers", "a"), ("pool", "name=hot;servers=b")]);
        let refused = near(&mut cache, None).unwrap_err().reason;
        assert_eq!(refused, "no pool has a near cache: near_size is 0");
        let shared = &Shared::private(1)[0];
        cache.keep_near(vec![None, Table::private(shared.near(), 9)]);
        for word in [None, Some("clear")] {
            let [shown] = &near(&mut cache, word).unwrap()[..] else {
                panic!("one near cache");
            };
            let NearCache {
                pool, slots, used, ..
            } = shown;
            assert_eq!((&pool[..], *slots, *used), ("hot", 12, 0));
            assert_eq!(shown.memory, 3 * 64 + 12 * 576);
        }
        let refused = near(&mut cache, Some("x")).unwrap_err().reason;
        assert_eq!(refused, "unknown argument 'x'; accepted: clear, or none");
    }
}
