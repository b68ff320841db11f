//! `Authority` is a folder with a certificate authority, which issues certificates with `openssl`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::Host;
use crate::process;
use crate::scratch::Scratch;

/// An authority, and what it has issued.
#[derive(Debug)]
pub struct Authority {
    scratch: Scratch,
}

/// A certificate with its key.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The file with the certificate and those above it, without the authority's.
    pub chain: PathBuf,
    /// The file with its key.
    pub key: PathBuf,
}

impl Issued {
    /// Keeps the certificate alone, without those above it.
    pub fn keep_first(&self) {
        let text = std::fs::read_to_string(&self.chain).expect("a certificate");
        let end = text.find(END).expect("its end") + END.len();
        std::fs::write(&self.chain, &text[..end]).expect("the scratch folder is writable");
    }

    /// Changes the certificate, so that its signature is that of another one.
    pub fn spoil_signature(&self) {
        let text = std::fs::read_to_string(&self.chain).expect("a certificate");
        // The last letters before the end, which is padded, are the last bytes of the signature.
        let end = text.find(END).expect("its end");
        let at = text[..end].trim_end().trim_end_matches('=').len() - 4;
        let other = if &text[at..=at] == "A" { "B" } else { "A" };
        let spoilt = [&text[..at], other, &text[at + 1..]].concat();
        std::fs::write(&self.chain, spoilt).expect("the scratch folder is writable");
    }
}

/// Where a certificate ends in its file.
const END: &str = "-----END CERTIFICATE-----\n";

impl Authority {
    /// A new one.
    pub fn new() -> Authority {
        let authority = Authority {
            scratch: Host::current().scratch(),
        };
        // A name has 64 letters at most. That of the folder is no other one's.
        let folder = authority.scratch.path().file_name();
        let folder = folder.expect("it has a name").to_string_lossy();
        authority.self_signed("ca", &format!("/CN={folder}"));
        authority
    }

    /// The file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.scratch.join("ca.pem")
    }

    /// A certificate for a server that has these names, such as `DNS:localhost` or `IP:127.0.0.1`, valid
    /// from `start` to `end`, in `openssl`'s form, such as `20260101000000Z`.
    pub fn issue_until(&self, name: &str, names: &str, start: &str, end: &str) -> Issued {
        let validity = ["-startdate", start, "-enddate", end];
        self.issue_by("ca", name, &alternatives(names), &validity)
    }

    /// The same, valid for so many days from now on.
    pub fn issue_for(&self, name: &str, names: &str, days: u32) -> Issued {
        let days = days.to_string();
        self.issue_by("ca", name, &alternatives(names), &["-days", &days])
    }

    /// A certificate for a server that has these names, or for a client.
    pub fn issue(&self, name: &str, names: &str) -> Issued {
        self.issue_with(name, &alternatives(names))
    }

    /// A certificate with these extensions, in the form of `openssl`'s configuration.
    pub fn issue_with(&self, name: &str, extensions: &str) -> Issued {
        self.issue_by("ca", name, extensions, &["-days", "90"])
    }

    /// A certificate for a server, issued by an authority that this one has issued a certificate for.
    pub fn issue_below(&self, name: &str, names: &str) -> Issued {
        self.issue_below_with(name, names, AUTHORITY, &["-days", "90"])
    }

    /// The same; the certificate of the one between has these extensions, and is valid as these arguments
    /// of `openssl ca` say.
    pub fn issue_below_with(
        &self,
        name: &str,
        names: &str,
        extensions: &str,
        validity: &[&str],
    ) -> Issued {
        let below = format!("{name}-ca");
        self.issue_by("ca", &below, extensions, validity);
        let issued = self.issue_by(&below, name, &alternatives(names), &["-days", "90"]);
        let read = |path: &Path| std::fs::read(path).expect("a certificate");
        let chain = [
            read(&issued.chain),
            read(&self.scratch.join(&format!("{below}.pem"))),
        ]
        .concat();
        std::fs::write(&issued.chain, chain).expect("the scratch folder is writable");
        issued
    }

    fn issue_by(&self, by: &str, name: &str, extensions: &str, validity: &[&str]) -> Issued {
        let config = self.scratch.write(
            &format!("{name}.cnf"),
            format!(
                "[ca]\ndefault_ca=it\n[it]\nnew_certs_dir={dir}\ndatabase={dir}/{name}.index\n\
                 serial={dir}/{name}.serial\ndefault_md=sha256\npolicy=any\nx509_extensions=x\n\
                 unique_subject=no\n[any]\ncommonName=optional\n[x]\n{extensions}",
                dir = self.scratch.path().display()
            ),
        );
        self.scratch.write(&format!("{name}.index"), "");
        self.scratch.write(
            &format!("{name}.serial"),
            format!("{:02X}", 16 + name.len()),
        );
        self.run(&request(name, &format!("/CN={name}"), &[]));
        let (config, by_cert, by_key) = (
            config.display().to_string(),
            format!("{by}.pem"),
            format!("{by}.key"),
        );
        let (csr, out) = (format!("{name}.csr"), format!("{name}.pem"));
        let mut args = vec![
            "ca", "-batch", "-notext", "-config", &config, "-cert", &by_cert,
        ];
        args.extend(["-keyfile", &by_key, "-in", &csr, "-out", &out]);
        args.extend(validity);
        self.run(&args.iter().map(|&arg| arg.into()).collect::<Vec<_>>());
        Issued {
            chain: self.scratch.join(&out),
            key: self.scratch.join(&format!("{name}.key")),
        }
    }

    fn self_signed(&self, name: &str, subject: &str) {
        let out = format!("{name}.pem");
        self.run(&request(
            name,
            subject,
            &["-x509", "-days", "90", "-out", &out],
        ));
    }

    fn run(&self, args: &[String]) {
        let mut openssl = Command::new("openssl");
        openssl.args(args).current_dir(self.scratch.path());
        let output = process::output(&mut openssl).expect("openssl starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {args:?}: {errors}");
    }
}

impl Default for Authority {
    fn default() -> Authority {
        Authority::new()
    }
}

/// The extensions of an authority that another one has issued a certificate for.
pub const AUTHORITY: &str = "basicConstraints=critical,CA:true\n";

fn alternatives(names: &str) -> String {
    format!("subjectAltName={names}\n")
}

/// Arguments for a new key and a request for its certificate.
fn request(name: &str, subject: &str, more: &[&str]) -> Vec<String> {
    let (key, csr) = (format!("{name}.key"), format!("{name}.csr"));
    let mut args = vec![
        "req",
        "-new",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    args.extend(["-subj", subject, "-keyout", &key]);
    match more.is_empty() {
        true => args.extend(["-out", &csr]),
        false => args.extend(more),
    }
    args.iter().map(|&arg| arg.into()).collect()
}
