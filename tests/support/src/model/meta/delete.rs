//! `md`

use super::super::items::Items;
use super::super::session::Step;
use super::flags::Flags;
use super::{BAD_FLAG, check, reflect};

pub(in super::super) fn delete(words: &[&[u8]], items: &mut Items) -> Step {
    if let Err(refusal) = check(words, "CLIENT_ERROR options flags too long") {
        return refusal;
    }
    let Ok(flags) = Flags::read(words[1], &words[2..], items) else {
        return Step::say(BAD_FLAG);
    };
    let mut behind = Vec::new();
    for token in &words[2..] {
        if let Err(mistake) = reflect(&mut behind, token, &flags.key, flags.binary_key) {
            return Step::say(mistake);
        }
    }
    let code = run(&flags, items);
    let quiet = flags.quiet && code == "HD";
    Step::say([code.as_bytes(), &behind].concat()).unless(quiet)
}

fn run(flags: &Flags, items: &mut Items) -> &'static str {
    let Some(item) = items.get(&flags.key) else {
        return "NF";
    };
    if flags.cas.is_some_and(|cas| cas != item.cas) {
        return "EX";
    }
    if flags.stale {
        item.expires = flags.expires.unwrap_or(item.expires);
        item.stale = true;
        item.promised = false;
        let cas = items.next_cas();
        items.held(&flags.key).expect("it is there").cas = cas;
    } else {
        items.remove(&flags.key);
    }
    "HD"
}
