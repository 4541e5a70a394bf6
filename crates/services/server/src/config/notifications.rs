//! How the server tells others of events.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::FetchFrom;

/// Whom the server may tell of events, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotificationsConfig {
    /// Beginnings of addresses that webhooks may go to, such as `https://hooks.example/`. Nothing is
    /// sent elsewhere.
    pub webhooks_to: Vec<FetchFrom>,
    /// The mail server; without it there are no mails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smtp: Option<SmtpConfig>,
}

/// A mail server that takes mails from us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpConfig {
    /// Its name.
    pub host: String,
    /// Its port: 587 for `starttls`, 465 for `tls`.
    pub port: u16,
    /// How the connection is protected.
    #[serde(default)]
    pub security: MailSecurity,
    /// A file with the certificates that it is trusted by (PEM); the system's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// From whom mails are.
    pub from: String,
    /// Who we are to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// A file with the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailSecurity {
    /// By TLS from the begin.
    Tls,
    /// By TLS after `STARTTLS`, which the server has to know.
    #[default]
    Starttls,
    /// Not at all: for a mail server on the same machine.
    None,
}

impl NotificationsConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        let Some(smtp) = &self.smtp else { return Ok(()) };
        if smtp.host.is_empty() || smtp.port == 0 {
            return Err("notifications.smtp needs host and port".to_owned());
        }
        if let Err(error) = smtp.from.parse::<lettre::message::Mailbox>() {
            return Err(format!("notifications.smtp.from is no mailbox: {error}"));
        }
        if smtp.user.is_some() != smtp.password_file.is_some() {
            return Err(
                "notifications.smtp needs both user and password_file, or neither".to_owned()
            );
        }
        if smtp.user.is_some() && smtp.security == MailSecurity::None {
            return Err(
                "notifications.smtp would send the password in the clear: set security".to_owned()
            );
        }
        Ok(())
    }
}
