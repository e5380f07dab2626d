//! E-mail over SMTP.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::message::Message;
use crate::notifier::NotifyError;
use crate::outcome::Failure;
use transport::Secret;

/// Whom mail is sent to, and by which server.
#[derive(Debug, Clone)]
pub struct Email {
    /// The server's name, which its certificate has, or its address.
    pub host: String,
    /// Its port: usually 587, or 465 with [`Encryption::Implicit`].
    pub port: u16,
    /// How the connection is encrypted.
    pub encryption: Encryption,
    /// PEM: authorities that are trusted, in place of the operating system's.
    pub ca_file: Option<PathBuf>,
    /// User name and password, if the server asks for them.
    pub credentials: Option<(String, Secret)>,
    /// Who it is from: `a@example.com` or `Name <a@example.com>`.
    pub from: String,
    /// Who gets it: one mail to all of them.
    pub to: Vec<String>,
}

impl Email {
    /// Whether mail can be sent from or to a text.
    pub fn is_mailbox(text: &str) -> bool {
        text.parse::<Mailbox>().is_ok()
    }
}

/// How a connection to a mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// It begins in the clear and must become TLS, before anything is told.
    Starttls,
    /// It is TLS from the beginning.
    Implicit,
    /// It is not: for a server on this machine only.
    None,
}

/// A mail server that can be told.
#[derive(Debug)]
pub(crate) struct EmailClient {
    email: Email,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
}

impl EmailClient {
    pub(crate) fn new(email: &Email, timeout: Duration) -> Result<Self, NotifyError> {
        let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|_| NotifyError::Address(text.clone()));
        let to = email.to.iter().map(mailbox).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(NotifyError::NoAddress);
        }
        Ok(Self { from: mailbox(&email.from)?, to, email: email.clone(), timeout })
    }

    pub(crate) async fn deliver(&self, message: &Message) -> Result<(), Failure> {
        let mail = self.mail(message).map_err(|error| Failure::permanent(error.to_string()))?;
        let email = self.email.clone();
        // Files are read, and may be slow.
        let tls = tokio::task::spawn_blocking(move || tls(&email)).await;
        let tls = tls.map_err(|error| Failure::transient(error.to_string()))?.map_err(Failure::transient)?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&self.email.host)
            .port(self.email.port)
            .timeout(Some(self.timeout))
            .tls(tls);
        let transport = match &self.email.credentials {
            None => transport,
            Some((user, password)) => {
                transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()))
            }
        };
        match transport.build::<Tokio1Executor>().send(mail).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(Failure::permanent(error.to_string())),
            Err(error) => Err(Failure::transient(error.to_string())),
        }
    }

    fn mail(&self, message: &Message) -> Result<lettre::Message, lettre::error::Error> {
        let builder = lettre::Message::builder()
            .from(self.from.clone())
            .subject(message.summary())
            .message_id(Some(format!("<{}@spanmill>", message.key)))
            .header(ContentType::TEXT_PLAIN)
            .date_now();
        let builder = self.to.iter().fold(builder, |builder, to| builder.to(to.clone()));
        builder.body(message.text())
    }
}

fn tls(email: &Email) -> Result<Tls, String> {
    if email.encryption == Encryption::None {
        return Ok(Tls::None);
    }
    let mut builder = TlsParameters::builder(email.host.clone());
    if let Some(file) = &email.ca_file {
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(authorities(file)?);
    }
    let parameters = builder.build_rustls().map_err(|error| error.to_string())?;
    Ok(match email.encryption {
        Encryption::Implicit => Tls::Wrapper(parameters),
        Encryption::Starttls | Encryption::None => Tls::Required(parameters),
    })
}

fn authorities(file: &Path) -> Result<Certificate, String> {
    let unusable = |error: &dyn std::error::Error| format!("{}: {error}", file.display());
    let pem = std::fs::read(file).map_err(|error| unusable(&error))?;
    Certificate::from_pem(&pem).map_err(|error| unusable(&error))
}
