//! Requests of every kind, to which the bytes of an input are the answers.

use kamailio_memcached::internals::{Request, Store, Way, WireKey};

/// A kind of request.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Get,
    GetMany,
    Set,
    Add,
    Delete,
    Touch,
    Count,
    Gets,
    Cas,
    CountOrCreate,
    GetLasting,
    Inspect,
    NoOp,
    Version,
    Stats,
    Settings,
    FlushAll,
    Replace,
    Append,
    CountDown,
    Fulfil,
    Lease,
    Invalidate,
    GiveBack,
    Look,
    DeleteVersion,
}

impl Kind {
    pub const ALL: [Kind; 26] = [
        Kind::Get,
        Kind::GetMany,
        Kind::Set,
        Kind::Add,
        Kind::Delete,
        Kind::Touch,
        Kind::Count,
        Kind::Gets,
        Kind::Cas,
        Kind::CountOrCreate,
        Kind::GetLasting,
        Kind::Inspect,
        Kind::NoOp,
        Kind::Version,
        Kind::Stats,
        Kind::Settings,
        Kind::FlushAll,
        Kind::Replace,
        Kind::Append,
        Kind::CountDown,
        Kind::Fulfil,
        Kind::Lease,
        Kind::Invalidate,
        Kind::GiveBack,
        Kind::Look,
        Kind::DeleteVersion,
    ];

    /// A request of this kind for these keys.
    pub fn request<'a>(self, keys: &'a [&'a WireKey]) -> Request<'a> {
        let (key, flags, lifetime, value) = (keys[0], 1, 0, b"v");
        let store = |store| Request::Store {
            store,
            key,
            flags,
            lifetime,
            value,
        };
        let count = |way| Request::Count { way, key, by: 1 };
        match self {
            Kind::Get => Request::Get { key },
            Kind::GetMany => Request::GetMany { keys },
            Kind::Set => store(Store::Set),
            Kind::Add => store(Store::Add),
            Kind::Replace => store(Store::Replace),
            Kind::Append => store(Store::Append),
            Kind::Delete => Request::Delete { key },
            Kind::Touch => Request::Touch { key, lifetime },
            Kind::Count => count(Way::Up),
            Kind::CountDown => count(Way::Down),
            Kind::Gets => Request::Gets { key },
            Kind::Cas => Request::Cas {
                key,
                flags,
                lifetime,
                version: 1,
                value,
            },
            Kind::Fulfil => Request::Fulfil {
                key,
                flags,
                lifetime,
                version: 1,
                value,
            },
            Kind::CountOrCreate => Request::CountOrCreate {
                way: Way::Up,
                key,
                by: 1,
                initial: 1,
                lifetime,
            },
            Kind::Lease => Request::Lease {
                key,
                time: 10,
                early: 5,
            },
            Kind::Invalidate => Request::Invalidate { key, lifetime },
            Kind::GiveBack => Request::GiveBack {
                key,
                lifetime,
                version: 1,
            },
            Kind::Look => Request::Look { key },
            Kind::DeleteVersion => Request::DeleteVersion { key, version: 1 },
            Kind::GetLasting => Request::GetLasting { key },
            Kind::Inspect => Request::Inspect { key },
            Kind::NoOp => Request::NoOp,
            Kind::Version => Request::Version,
            Kind::Stats => Request::Stats,
            Kind::Settings => Request::Settings,
            Kind::FlushAll => Request::FlushAll,
        }
    }
}
