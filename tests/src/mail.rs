//! A mail server as others run one: aiosmtpd.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use crate::spanmill::Process;
use crate::{Certificate, Python};

/// A running mail server that wants TLS and a password. Dropped, it is killed.
#[derive(Debug)]
pub struct MailServer {
    /// Where connections begin in the clear.
    pub starttls: u16,
    /// Where they are TLS from the beginning.
    pub implicit: u16,
    mails: Arc<Mutex<Vec<Value>>>,
    _process: Process,
}

impl MailServer {
    /// Shows a certificate, which is written into a directory.
    pub fn start(python: &Python, certificate: &Certificate, directory: &Path, password: &str) -> Self {
        certificate.write(directory);
        let mut command = python.command("mail.py");
        command.arg(directory.join("cert.pem")).arg(directory.join("key.pem")).arg(password);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
        let ports = lines.next().expect("the ports of the mail server");
        let (starttls, implicit) = ports.split_once(' ').expect("two ports");
        let mails = Arc::new(Mutex::new(Vec::new()));
        let taken = Arc::clone(&mails);
        let process = Process::of(child);
        let (starttls, implicit) = (starttls.parse().expect("a port"), implicit.parse().expect("a port"));
        std::thread::spawn(move || {
            for line in lines {
                let mail = serde_json::from_str(&line).expect("JSON");
                taken.lock().expect("no panics in here").push(mail);
            }
        });
        Self { starttls, implicit, mails, _process: process }
    }

    /// The mails that it took, in order.
    pub fn mails(&self) -> Vec<Value> {
        self.mails.lock().expect("no panics in here").clone()
    }
}
