//! A mail server as others run one: aiosmtpd.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
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
    hold: PathBuf,
    _process: Process,
}

impl MailServer {
    /// Shows a certificate, which is written into a directory of its own.
    pub fn start(python: &Python, certificate: &Certificate, directory: &Path, password: &str) -> Self {
        certificate.write(directory);
        let mut command = python.command("mail.py");
        let hold = directory.join("hold");
        command.arg(directory.join("cert.pem")).arg(directory.join("key.pem")).arg(password).arg(&hold);
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
        Self { starttls, implicit, mails, hold, _process: process }
    }

    /// Whether it takes mails without saying so, as one that hangs.
    pub fn set_silent(&self, is_silent: bool) {
        let done = if is_silent { std::fs::write(&self.hold, "") } else { std::fs::remove_file(&self.hold) };
        done.expect("a writable directory");
    }

    /// The mails that it took, in order.
    pub fn mails(&self) -> Vec<Value> {
        self.mails.lock().expect("no panics in here").clone()
    }
}
