//! Remotes whose client key is in a token: a web server that lets in only who has the key.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use updraft_crypto::pkcs11::{TokenKey, TokenUri};
use updraft_crypto::tls::{CertificateAuthority, Validity, provider};
use updraft_error::{Classify, Kind};
use updraft_http::ClientOptions;
use updraft_http::testing::{Answer, Exchange};
use updraft_ostree::{KeyFile, RemoteName, RepoMode};
use updraft_repo::Repo;
use updraft_repo::pull::{self, Error, RemoteConfig};
use updraft_task::Context;

use crate::soft::SoftToken;
use crate::world::{World, options, text, write};

const KEYS: [(&str, &str, &str); 3] =
    [("ec", "01", "EC:prime256v1"), ("rsa", "02", "rsa:2048"), ("ed", "03", "EC:edwards25519")];

/// Serves the files below `root` over TLS to who has a certificate of the authority.
fn serve(root: PathBuf, authority: &CertificateAuthority, validity: Validity) -> String {
    let server = authority.issue_server(&["localhost".to_owned()], validity).unwrap();
    let mut roots = RootCertStore::empty();
    let pem = authority.certificate_pem().as_bytes();
    roots.add(CertificateDer::from_pem_slice(pem).unwrap()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let certificate = CertificateDer::from_pem_slice(server.certificate_pem.as_bytes()).unwrap();
    let key = PrivateKeyDer::from_pem_slice(server.private_key_pem.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let root = root.clone();
            // A client without the key is not answered.
            std::thread::spawn(move || answer(&root, StreamOwned::new(connection, stream)));
        }
    });
    url
}

/// One request, one answer.
fn answer(root: &Path, stream: StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut line, mut first) = (String::new(), String::new());
    while stream.read_line(&mut line)? > 2 {
        if first.is_empty() {
            first.clone_from(&line);
        }
        line.clear();
    }
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let (headers, body) = (Vec::new(), Vec::new());
    let exchange = Exchange { number: 0, method: "GET".to_owned(), path, headers, body };
    let (status, body) = match Answer::file(root, &exchange) {
        Answer::Resource(bytes) => ("200 OK", bytes),
        _ => ("404 Not Found", Vec::new()),
    };
    let length = body.len();
    let mut stream = stream.into_inner();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")?;
    stream.write_all(&body)?;
    stream.conn.send_close_notify();
    stream.flush()?;
    // Until the client has read it all.
    let _ = stream.sock.read(&mut [0]);
    Ok(())
}

/// A certificate of the authority, in `token`, for a public key that its owner never shows.
fn certify(token: &SoftToken, label: &str) -> PathBuf {
    let key = TokenKey::open(&token.uri(label).parse::<TokenUri>().unwrap()).unwrap();
    let path = |name: &str| token.path(name).display().to_string();
    write(&token.path("public.der"), key.spki_der());
    write(&token.path("extensions"), b"extendedKeyUsage=clientAuth\nbasicConstraints=CA:FALSE\n");
    let request = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    openssl(
        &request,
        &["-subj", "/CN=device", "-keyout", &path("other.key"), "-out", &path("csr")],
    );
    openssl(
        &["pkey", "-pubin", "-inform", "DER", "-in", &path("public.der")],
        &["-out", &path("public.pem")],
    );
    let certificate = token.path(&format!("{label}.pem"));
    openssl(
        &["x509", "-req", "-in", &path("csr"), "-CA", &path("ca.pem")],
        &[
            "-CAkey",
            &path("ca.key"),
            "-CAcreateserial",
            "-force_pubkey",
            &path("public.pem"),
            "-extfile",
            &path("extensions"),
            "-days",
            "30",
            "-out",
            &certificate.display().to_string(),
        ],
    );
    certificate
}

fn openssl(command: &[&str], more: &[&str]) {
    let output = Command::new("openssl").args(command).args(more).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_key_in_a_token_opens_the_remote() {
    let world = World::new();
    let folder = world.path("token");
    std::fs::create_dir(&folder).unwrap();
    let token = SoftToken::create(&folder);
    for (label, id, key_type) in KEYS {
        token.generate(label, id, key_type);
    }
    let validity = Validity::days("2024-01-01T00:00:00Z".parse().unwrap(), 36_500);
    let authority = CertificateAuthority::create("test", validity).unwrap();
    write(&token.path("ca.pem"), authority.certificate_pem().as_bytes());
    write(&token.path("ca.key"), authority.key_pem().as_bytes());
    let (archive, commit) = world.archive("archive");
    let url = serve(archive, &authority, validity);
    write(&token.path("url"), url.as_bytes());
    token.child("token::child_certifies");
    for (label, id, _) in KEYS {
        let pem = std::fs::read(token.path(&format!("{label}.pem"))).unwrap();
        token.add_certificate(label, id, &CertificateDer::from_pem_slice(&pem).unwrap());
        world.repo(&format!("token/repo-{label}"), RepoMode::Bare);
    }
    token.child("token::child_pulls");
    for (label, ..) in KEYS {
        let repo = token.path(&format!("repo-{label}"));
        assert_eq!(crate::peer::ok(&repo, &["rev-parse", "main"]), commit.to_string());
        crate::peer::fsck(&repo);
    }
}

#[test]
fn child_certifies() {
    let Some(token) = SoftToken::inherited() else { return };
    for (label, ..) in KEYS {
        certify(&token, label);
    }
}

/// A pull from the remote with this certificate and key.
fn pull_with(token: &SoftToken, repo: &Repo, (cert, key): (&str, &str)) -> Result<(), Error> {
    pull_as(token, repo, &format!("tls-client-cert-path={cert}\ntls-client-key-path={key}\n"))
}

fn pull_as(token: &SoftToken, repo: &Repo, client: &str) -> Result<(), Error> {
    let url = std::fs::read_to_string(token.path("url")).unwrap();
    let text = format!(
        "[remote \"origin\"]\nurl={url}\ngpg-verify=false\ntls-ca-path={}\n{client}",
        token.path("ca.pem").display(),
    );
    let config = KeyFile::parse(&text).unwrap();
    let remote = RemoteConfig::read(&config, &RemoteName::new("origin").unwrap())?;
    let base = ClientOptions { retries: 0, ..ClientOptions::default() };
    pull::pull(&Context::silent(), repo, &remote.source(&base)?, &options(&["main"])).map(drop)
}

#[test]
fn child_pulls() {
    let Some(token) = SoftToken::inherited() else { return };
    let open = |label: &str| Repo::open(token.path(&format!("repo-{label}"))).unwrap();
    let file = |label: &str| token.path(&format!("{label}.pem")).display().to_string();
    // The server lets nobody in without one.
    assert!(pull_as(&token, &open("ec"), "").is_err());
    // Another's certificate, and no key at all.
    let other = pull_with(&token, &open("ec"), (&file("ec"), &token.uri("rsa"))).unwrap_err();
    assert!(text(&other).contains("the client certificate with its private key"), "{other}");
    let none = pull_with(&token, &open("ec"), (&file("ec"), &token.uri("nobody"))).unwrap_err();
    assert!(matches!(none, Error::Token(_)), "{none}");
    let foreign = token.path("other.key").display().to_string();
    let other = pull_with(&token, &open("ec"), (&file("ec"), &foreign)).unwrap_err();
    assert_eq!(other.kind(), Kind::Invalid, "{}", text(&other));
    for (label, ..) in KEYS {
        // Either the certificate is a file, or it is in the token as well.
        let certificate = if label == "rsa" { file(label) } else { token.uri(label) };
        pull_with(&token, &open(label), (&certificate, &token.uri(label))).unwrap();
    }
}
