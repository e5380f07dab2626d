//! E-mail over SMTP.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};

use crate::message::Message;
use crate::notifier::NotifyError;
use crate::outcome::{Failure, Verdict};
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
    /// Who gets it: one mail to all of them, and one each if the server refuses that.
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

type Transport = AsyncSmtpTransport<Tokio1Executor>;

/// A mail server that can be told.
#[derive(Debug)]
pub(crate) struct EmailClient {
    email: Email,
    from: Mailbox,
    to: Vec<Mailbox>,
    timeout: Duration,
    /// The newest message that the server refused for all receivers together.
    alone: Mutex<Alone>,
}

/// A message of which every receiver gets a mail of his own, over all attempts.
#[derive(Debug, Default)]
struct Alone {
    /// The key of the message.
    key: String,
    /// Of each receiver: `None` until the server has taken or refused his mail for good.
    settled: Vec<Option<Result<(), String>>>,
}

impl EmailClient {
    pub(crate) fn new(email: &Email, timeout: Duration) -> Result<Self, NotifyError> {
        let mailbox = |text: &String| text.parse::<Mailbox>().map_err(|_| NotifyError::Address(text.clone()));
        let to = email.to.iter().map(mailbox).collect::<Result<Vec<_>, _>>()?;
        if to.is_empty() {
            return Err(NotifyError::NoAddress);
        }
        Ok(Self { from: mailbox(&email.from)?, to, email: email.clone(), timeout, alone: Mutex::default() })
    }

    pub(crate) async fn deliver(&self, message: &Message) -> Result<(), Failure> {
        let transport = self.transport().await?;
        if self.alone().key != message.key {
            match self.send(&transport, message, &self.to).await {
                Err(Failure { verdict: Verdict::Permanent, .. }) if self.to.len() > 1 => {}
                result => return result,
            }
            *self.alone() = Alone { key: message.key.clone(), settled: vec![None; self.to.len()] };
        }
        self.deliver_alone(&transport, message).await
    }

    /// Sends each receiver a mail of his own who has none yet: one bad address is nobody else's loss. It is refused if all are.
    async fn deliver_alone(&self, transport: &Transport, message: &Message) -> Result<(), Failure> {
        let mut deferred = None;
        for (place, to) in self.to.iter().enumerate() {
            if self.alone().settled.get(place).is_some_and(Option::is_some) {
                continue;
            }
            let settled = match self.send(transport, message, std::slice::from_ref(to)).await {
                Ok(()) => Ok(()),
                Err(Failure { verdict: Verdict::Permanent, message: error }) => {
                    tracing::warn!(to = %to.email, error, "mail to one of several receivers was refused");
                    Err(error)
                }
                Err(failure) => {
                    deferred.get_or_insert(failure);
                    continue;
                }
            };
            if let Some(place) = self.alone().settled.get_mut(place) {
                *place = Some(settled);
            }
        }
        if let Some(failure) = deferred {
            return Err(failure);
        }
        let refused = self.alone().settled.iter().flatten().cloned().collect::<Result<Vec<()>, String>>().err();
        let is_taken = self.alone().settled.iter().flatten().any(Result::is_ok);
        refused.filter(|_| !is_taken).map_or(Ok(()), |error| Err(Failure::permanent(error)))
    }

    fn alone(&self) -> MutexGuard<'_, Alone> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn transport(&self) -> Result<Transport, Failure> {
        let email = self.email.clone();
        // Files are read, and may be slow.
        let tls = tokio::task::spawn_blocking(move || tls(&email)).await;
        let tls = tls.map_err(|error| Failure::transient(error.to_string()))?.map_err(Failure::transient)?;
        let transport =
            Transport::builder_dangerous(&self.email.host).port(self.email.port).timeout(Some(self.timeout)).tls(tls);
        let transport = match &self.email.credentials {
            None => transport,
            Some((user, password)) => {
                transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()))
            }
        };
        Ok(transport.build())
    }

    /// One mail to all of `to`.
    async fn send(&self, transport: &Transport, message: &Message, to: &[Mailbox]) -> Result<(), Failure> {
        let mail = self.mail(message, to).map_err(|error| Failure::permanent(error.to_string()))?;
        match transport.send(mail).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_permanent() => Err(Failure::permanent(error.to_string())),
            Err(error) => Err(Failure::transient(error.to_string())),
        }
    }

    fn mail(&self, message: &Message, to: &[Mailbox]) -> Result<lettre::Message, lettre::error::Error> {
        let builder = lettre::Message::builder()
            .from(self.from.clone())
            .subject(message.summary())
            .message_id(Some(format!("<{}@spanmill>", message.key)))
            .header(ContentType::TEXT_PLAIN)
            .date_now();
        let builder = to.iter().fold(builder, |builder, to| builder.to(to.clone()));
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
