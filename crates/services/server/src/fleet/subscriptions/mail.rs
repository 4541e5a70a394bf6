//! Events sent by mail: one mail of what happened since the last one.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Message, SmtpTransport, Transport as _};
use updraft_api::Event;
use updraft_http::SYSTEM_CERTIFICATES;

use super::WHAT;
use crate::config::{MailSecurity, NotificationsConfig, SmtpConfig};
use crate::error::{Error, Result};
use crate::fleet::read_text;

/// How long the mail server may take for each of its answers.
const ANSWER: Duration = Duration::from_secs(20);
/// The longest subject, in characters.
const MAX_SUBJECT: usize = 120;

/// Whether there is a mail server, and the address is one.
pub(super) fn check(config: &NotificationsConfig, address: &str) -> Result<()> {
    if config.smtp.is_none() {
        let reason = "this server knows no mail server; name one in the section \
                      [notifications.smtp] of server.toml";
        return Err(Error::invalid(WHAT, reason));
    }
    let parsed: Result<Mailbox, _> = address.parse();
    parsed.map(drop).map_err(|error| {
        Error::invalid(WHAT, format!("`{}` is no mailbox: {error}", address.escape_debug()))
    })
}

/// Sends one mail of these events, of which there is at least one.
pub(super) fn send(
    config: &NotificationsConfig,
    address: &str,
    events: &[Event],
) -> Result<(), String> {
    let smtp = config.smtp.as_ref().ok_or("there is no [notifications.smtp] in server.toml")?;
    let message = message(&smtp.from, address, events)?;
    transport(smtp)?.send(&message).map(drop).map_err(|error| error.to_string())
}

fn message(from: &str, to: &str, events: &[Event]) -> Result<Message, String> {
    let mailbox = |text: &str| -> Result<Mailbox, String> {
        text.parse().map_err(|error| format!("`{}`: {error}", text.escape_debug()))
    };
    Message::builder()
        .from(mailbox(from)?)
        .to(mailbox(to)?)
        .subject(subject(events))
        .header(ContentType::TEXT_PLAIN)
        .body(text(events))
        .map_err(|error| error.to_string())
}

fn subject(events: &[Event]) -> String {
    let first = events.first().map(|event| event.message.as_str()).unwrap_or_default();
    let more = events.len().saturating_sub(1);
    let text = match more {
        0 => format!("Updraft: {first}"),
        more => format!("Updraft: {first}, and {more} more"),
    };
    // A message has device names in it, and those must not make headers.
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_SUBJECT).collect()
}

fn text(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        let _ = writeln!(text, "{:.0}  {}", event.at, event.message);
        let about = [("device", &event.device), ("rollout", &event.rollout)];
        for (what, name) in about {
            if let Some(name) = name {
                let _ = writeln!(text, "    {what} {name}");
            }
        }
    }
    text
}

fn transport(smtp: &SmtpConfig) -> Result<SmtpTransport, String> {
    let failed = |error: lettre::transport::smtp::Error| error.to_string();
    let parameters = || -> Result<TlsParameters, String> {
        let path = smtp.ca_file.as_deref().unwrap_or(Path::new(SYSTEM_CERTIFICATES));
        let roots = read_text(path).map_err(|error| crate::error::chain(&error))?;
        TlsParameters::builder(smtp.host.clone())
            .certificate_store(CertificateStore::None)
            .add_root_certificate(Certificate::from_pem(roots.as_bytes()).map_err(failed)?)
            .build()
            .map_err(failed)
    };
    let tls = match smtp.security {
        MailSecurity::None => Tls::None,
        MailSecurity::Starttls => Tls::Required(parameters()?),
        MailSecurity::Tls => Tls::Wrapper(parameters()?),
    };
    let mut builder =
        SmtpTransport::builder_dangerous(&smtp.host).port(smtp.port).tls(tls).timeout(Some(ANSWER));
    if let (Some(user), Some(file)) = (&smtp.user, &smtp.password_file) {
        let password = read_text(file).map_err(|error| crate::error::chain(&error))?;
        builder =
            builder.credentials(Credentials::new(user.clone(), password.trim_end().to_owned()));
    }
    Ok(builder.build())
}

#[cfg(test)]
mod tests {
    use super::message;
    use jiff::Timestamp;
    use updraft_api::{Event, EventKind};

    fn event(id: u64, message: &str) -> Event {
        Event {
            id,
            at: Timestamp::UNIX_EPOCH,
            kind: EventKind::AlertFired,
            actor: "server".into(),
            device: Some("vehicle-1".into()),
            rollout: None,
            message: message.into(),
            data: None,
        }
    }

    #[test]
    fn a_mail_tells_of_all_and_its_headers_are_ours() {
        let events = [event(1, "low memory\r\nBcc: x@example.com"), event(2, "silent")];
        let mail = message("Fleet <fleet@example.com>", "ops@example.com", &events).expect("good");
        let text = String::from_utf8(mail.formatted()).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        assert!(
            head.contains("Subject: Updraft: low memory  Bcc: x@example.com, and 1 more"),
            "{head}"
        );
        assert!(!head.contains("\nBcc:"), "{head}");
        assert!(body.contains("silent") && body.contains("device vehicle-1"), "{body}");
        message("nobody", "ops@example.com", &events).expect_err("no mailbox");
    }
}
