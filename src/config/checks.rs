//! The checks of parameters whose values are texts.
//!
//! A check reads everything that it needs, including files. It returns a function that sets the
//! result in a pool. So nothing can fail when the pools are made.

use std::fmt::Display;

use super::parameter::{BadText, Put};
use std::sync::Arc;

use crate::item::key::{self, MAX_PREFIX};
use crate::placement::HashTag;
use crate::placement::ring::Distribution;
use crate::server;
use crate::server::file::ServersFile;
use crate::wire::protocol::credentials::Credentials;
use crate::wire::tls::{self, Certificates, Key};

/// The accepted form of `key_prefix`.
pub(super) const PREFIX_FORM: &str = "up to 200 bytes without spaces and control characters";
const _: () = assert!(MAX_PREFIX == 200, "PREFIX_FORM tells another number");

pub(super) fn servers(list: &str) -> Result<Put, BadText> {
    let servers = server::parse_list(list).map_err(because)?;
    Ok(Box::new(move |pool| pool.servers.clone_from(&servers)))
}

pub(super) fn servers_file(path: &str) -> Result<Put, BadText> {
    let file = ServersFile::new(path);
    let servers = file.read().map_err(because)?;
    Ok(Box::new(move |pool| {
        pool.servers.clone_from(&servers);
        pool.settings.file = Some(file.clone());
    }))
}

pub(super) fn distribution(name: &str) -> Result<Put, BadText> {
    let distribution: Distribution = name.parse().map_err(because)?;
    Ok(Box::new(move |pool| {
        let placement = &mut pool.settings.placement;
        placement.distribution = distribution;
        placement.hash = distribution.default_hash();
    }))
}

pub(super) fn hash(name: &str) -> Result<Put, BadText> {
    // Every distribution accepts the same names. Only what a name means may differ.
    Distribution::Ketama.parse_hash(name).map_err(because)?;
    let name = name.to_owned();
    Ok(Box::new(move |pool| {
        let placement = &mut pool.settings.placement;
        if let Ok(hash) = placement.distribution.parse_hash(&name) {
            placement.hash = hash;
        }
    }))
}

pub(super) fn key_prefix(text: &str) -> Result<Put, BadText> {
    if text.len() > MAX_PREFIX || !key::is_legal(text.as_bytes()) {
        return Err(BadText::NotAccepted);
    }
    let prefix: Box<[u8]> = text.as_bytes().into();
    Ok(Box::new(move |pool| {
        pool.settings.placement.prefix.clone_from(&prefix);
    }))
}

pub(super) fn hash_tag(text: &str) -> Result<Put, BadText> {
    let tag: Option<HashTag> = match text {
        "" => None,
        tag => Some(tag.parse().map_err(because)?),
    };
    Ok(Box::new(move |pool| pool.settings.placement.hash_tag = tag))
}

pub(super) fn credentials_file(path: &str) -> Result<Put, BadText> {
    let credentials = Credentials::read(path).map_err(because)?;
    Ok(Box::new(move |pool| {
        pool.settings.credentials = Some(credentials.clone());
    }))
}

pub(super) fn warm_from(name: &str) -> Result<Put, BadText> {
    let name = name.to_owned();
    Ok(Box::new(move |pool| {
        pool.settings.warm_from = Some(name.clone());
        pool.settings.expect_sources();
    }))
}

pub(super) fn tls_ca(path: &str) -> Result<Put, BadText> {
    let ca = Certificates::read(path).map_err(because)?;
    Ok(Box::new(move |pool| {
        pool.settings.tls.ca = Some(ca.clone())
    }))
}

pub(super) fn tls_cert(path: &str) -> Result<Put, BadText> {
    let cert = Certificates::read(path).map_err(because)?;
    Ok(Box::new(move |pool| {
        pool.settings.tls.cert = Some(cert.clone())
    }))
}

pub(super) fn tls_key(path: &str) -> Result<Put, BadText> {
    let key = Key::read(path).map_err(because)?;
    Ok(Box::new(move |pool| {
        pool.settings.tls.key = Some(key.clone())
    }))
}

pub(super) fn tls_name(name: &str) -> Result<Put, BadText> {
    if name.is_empty() || !tls::is_name(name) {
        return Err(BadText::NotAccepted);
    }
    let name: Arc<str> = name.into();
    Ok(Box::new(move |pool| {
        pool.settings.tls.name = Some(name.clone())
    }))
}

pub(super) fn event_callback(name: &str) -> Result<Put, BadText> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BadText::NotAccepted);
    }
    let name = name.to_owned();
    Ok(Box::new(move |pool| {
        pool.settings.event_callback = Some(name.clone());
    }))
}

fn because(why: impl Display) -> BadText {
    BadText::Because(why.to_string())
}
