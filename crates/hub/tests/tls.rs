//! A hub over TLS: with a certificate that is trusted by name, and with one that is not.
#![allow(clippy::unwrap_used)]

mod good;
mod server;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use budwood_hub::{Certificates, Error, Hub, ModelName, Settings};
use good::{files, good};
use server::{Reply, Server};

fn pem(name: &str) -> Option<Certificates> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name);
    Some(Certificates { path, variable: "SSL_CERT_FILE" })
}

fn fetch(server: &Server, certificates: Option<Certificates>) -> Result<PathBuf, Error> {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { certificates, ..server.settings(dir.path().join("hub")) };
    let name = ModelName::parse("owner/tiny").unwrap().unwrap();
    let folder = Hub::new(settings).model(&name, &mut |_| {})?;
    for (name, bytes) in files() {
        assert_eq!(std::fs::read(folder.join(name)).unwrap(), bytes, "{name}");
    }
    Ok(folder)
}

#[test]
fn an_authority_by_name_is_trusted() {
    let server = Server::start_tls(|r| good(r, &files()));
    fetch(&server, pem("authority.pem")).unwrap();
    // A folder of certificates, in which there are other things too.
    fetch(&server, pem("")).unwrap();
    let token = |r: &server::Request| r.header("authorization") == Some("Bearer hf_secret");
    assert!(server.requests().iter().all(token));
}

#[test]
fn another_authority_is_not() {
    let server = Server::start_tls(|r| good(r, &files()));
    let begin = Instant::now();
    let message = fetch(&server, None).unwrap_err().to_string();
    assert!(message.contains("certificate") && message.contains("SSL_CERT_FILE"), "{message}");
    assert!(begin.elapsed() < Duration::from_secs(5), "it makes no sense to try again");
    assert_eq!(server.requests().len(), 0, "no request, and no token, reaches it");
}

#[test]
fn what_names_no_certificate_is_an_error_by_the_variable() {
    let server = Server::start_tls(|r| good(r, &files()));
    for (name, why) in [("none.pem", "No such file"), ("server.key", "there is no certificate")] {
        let message = fetch(&server, pem(name)).unwrap_err().to_string();
        assert!(message.starts_with("SSL_CERT_FILE: ") && message.contains(why), "{message}");
    }
    assert_eq!(server.requests().len(), 0);
}

#[test]
fn a_redirect_from_tls_to_plain_text_is_not_followed() {
    let plain = Server::start(|r| good(r, &files()));
    let elsewhere = plain.address();
    let server = Server::start_tls(move |r| match r.path.ends_with("config.json") {
        true => Reply::status("302 Found").with("location", &format!("{elsewhere}{}", r.path)),
        false => good(r, &files()),
    });
    let message = fetch(&server, pem("authority.pem")).unwrap_err().to_string();
    assert!(message.contains("to no https or http address"), "{message}");
    assert_eq!(plain.requests().len(), 0);
}
