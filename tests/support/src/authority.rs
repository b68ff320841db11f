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

impl Authority {
    /// A new one.
    pub fn new() -> Authority {
        let authority = Authority {
            scratch: Host::current().scratch(),
        };
        let subject = authority.scratch.path().display().to_string();
        authority.self_signed("ca", &format!("/CN={}", subject.replace('/', " ")));
        authority
    }

    /// The file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.scratch.join("ca.pem")
    }

    /// A certificate for a server that has these names, such as `DNS:localhost` or `IP:127.0.0.1`, valid
    /// for so many days from `start`, in `openssl`'s form, such as `20260101000000Z`.
    pub fn issue_until(&self, name: &str, names: &str, start: &str, end: &str) -> Issued {
        let extensions = format!("subjectAltName={names}\n");
        self.issue_by(
            "ca",
            name,
            &extensions,
            &["-startdate", start, "-enddate", end],
        )
    }

    /// A certificate for a server that has these names, or for a client.
    pub fn issue(&self, name: &str, names: &str) -> Issued {
        let extensions = format!("subjectAltName={names}\n");
        self.issue_by("ca", name, &extensions, &["-days", "90"])
    }

    /// A certificate for a server, issued by an authority that this one has issued a certificate for.
    pub fn issue_below(&self, name: &str, names: &str) -> Issued {
        let below = format!("{name}-ca");
        self.issue_by(
            "ca",
            &below,
            "basicConstraints=critical,CA:true\n",
            &["-days", "90"],
        );
        let extensions = format!("subjectAltName={names}\n");
        let issued = self.issue_by(&below, name, &extensions, &["-days", "90"]);
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
