//! Who may call: bearer tokens or users with passwords, told in the `Authorization` header.
//!
//! Checked on the headers, before anything of a body is read.
use crate::Refusal;
use crate::basic::Users;
use crate::reload::{FileError, Reloaded};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::path::PathBuf;
use subtle::{Choice, ConstantTimeEq};

/// What a caller must show. By default nothing.
#[derive(Clone, Debug, Default)]
pub struct Credentials(Option<Scheme>);

#[derive(Clone, Debug)]
enum Scheme {
    Bearer { tokens: Reloaded<Tokens>, also_as_password: bool },
    Basic(Reloaded<Users>),
}

impl Credentials {
    /// One of these bearer tokens.
    pub fn bearer<'a>(tokens: impl IntoIterator<Item = &'a str>) -> Self {
        let tokens = tokens.into_iter().map(|token| Digest::of(token.as_bytes())).collect();
        Self::of_tokens(Reloaded::fixed(Tokens(tokens)))
    }

    /// One of the bearer tokens in a file: one a line, without spaces; empty lines and those that begin with # say nothing. A
    /// change of the file is followed.
    ///
    /// # Errors
    /// The file cannot be read or has no token in it.
    pub fn bearer_file(path: PathBuf) -> Result<Self, FileError> {
        let tokens = Reloaded::from_files(vec![path], |contents| Tokens::parse(&contents.concat()))?;
        Ok(Self::of_tokens(tokens))
    }

    fn of_tokens(tokens: Reloaded<Tokens>) -> Self {
        Credentials(Some(Scheme::Bearer { tokens, also_as_password: false }))
    }

    /// The same, with bearer tokens taken as passwords too, whatever the user is called: a browser asks people for no token.
    #[must_use]
    pub fn for_people(self) -> Self {
        match self.0 {
            Some(Scheme::Bearer { tokens, .. }) => Credentials(Some(Scheme::Bearer { tokens, also_as_password: true })),
            other => Credentials(other),
        }
    }

    /// Whether a browser can ask for what is wanted.
    pub fn can_be_typed(&self) -> bool {
        matches!(self.0, Some(Scheme::Basic(_) | Scheme::Bearer { also_as_password: true, .. }))
    }

    /// A user of a file in the format of `htpasswd`, with the password: bcrypt (`htpasswd -B`) or as it is. A change of the file
    /// is followed.
    ///
    /// # Errors
    /// The file cannot be read, has no user in it, or has passwords in another format.
    pub fn basic_file(path: PathBuf) -> Result<Self, FileError> {
        let users = Reloaded::from_files(vec![path], |contents| Users::parse(&contents.concat()))?;
        Ok(Credentials(Some(Scheme::Basic(users))))
    }

    /// Whether anything is asked for at all.
    pub fn are_asked_for(&self) -> bool {
        self.0.is_some()
    }

    /// Whether a request with these headers may go on.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] if not; [`Refusal::Busy`] if too many passwords are being checked.
    pub async fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let (scheme, is_known) = match &self.0 {
            None => return Ok(()),
            Some(Scheme::Bearer { tokens, also_as_password }) => {
                let typed = user_and_password(headers).filter(|_| *also_as_password);
                let password = typed.as_deref().and_then(|typed| typed.splitn(2, |byte| *byte == b':').nth(1));
                let token = shown(headers, "Bearer").or(password);
                ("Bearer", token.is_some_and(|token| tokens.current().contains(token)))
            }
            Some(Scheme::Basic(users)) => {
                let is_known = match user_and_password(headers) {
                    Some(user_and_password) => users.current().contains(&user_and_password).await?,
                    None => false,
                };
                ("Basic", is_known)
            }
        };
        if is_known { Ok(()) } else { Err(Refusal::Unauthenticated { scheme }) }
    }
}

fn user_and_password(headers: &HeaderMap) -> Option<Vec<u8>> {
    shown(headers, "Basic").and_then(|encoded| BASE64.decode(encoded).ok())
}

/// What stands behind the name of the scheme. Of two headers one might be meant for somebody else: neither counts.
fn shown<'h>(headers: &'h HeaderMap, scheme: &str) -> Option<&'h [u8]> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().filter(|_| values.next().is_none())?.as_bytes().trim_ascii();
    let (name, rest) = value.split_at_checked(scheme.len())?;
    let is_it = name.eq_ignore_ascii_case(scheme.as_bytes()) && rest.first() == Some(&b' ');
    is_it.then(|| rest.trim_ascii())
}

/// Bearer tokens, by their digests.
pub(crate) struct Tokens(Vec<Digest>);

impl Tokens {
    fn parse(content: &[u8]) -> Result<Self, String> {
        let mut tokens = Vec::new();
        for (number, line) in lines(content) {
            if !line.iter().all(u8::is_ascii_graphic) {
                return Err(format!("line {number}: expected one token, without spaces"));
            }
            tokens.push(Digest::of(line));
        }
        if tokens.is_empty() { Err("there is no token in it".to_owned()) } else { Ok(Tokens(tokens)) }
    }

    /// Every token is looked at, so that the time does not tell which one was nearly shown.
    fn contains(&self, shown: &[u8]) -> bool {
        let shown = Digest::of(shown);
        let found = self.0.iter().fold(Choice::from(0), |found, token| found | token.same(&shown));
        found.into()
    }
}

/// The lines that say something, with their numbers.
pub(crate) fn lines(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    (1..).zip(lines).filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
}

/// SHA-256 of a secret: comparing digests tells nothing about the secret, not even its length.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(secret: &[u8]) -> Self {
        Digest(Sha256::digest(secret).into())
    }

    /// Whether both are the same, in constant time.
    pub(crate) fn same(&self, other: &Digest) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    // Any of the tokens is let in, in any spelling that RFC 9110 allows; nothing else is.
    #[tokio::test]
    async fn bearer_tokens() {
        let credentials = Credentials::bearer(["one", "two"]);
        for good in ["Bearer one", "bearer two", "BEARER   two ", " Bearer one"] {
            assert_eq!(credentials.check(&headers(&[good])).await, Ok(()), "{good:?}");
        }
        let unauthenticated = Err(Refusal::Unauthenticated { scheme: "Bearer" });
        for bad in [&[][..], &["Bearer"], &["Bearer "], &["Bearer on"], &["Bearer onee"], &["Bearerone"], &["one"]] {
            assert_eq!(credentials.check(&headers(bad)).await, unauthenticated, "{bad:?}");
        }
        let both = ["Bearer one", "Bearer two"];
        assert_eq!(credentials.check(&headers(&both)).await, unauthenticated, "two headers");
        assert_eq!(credentials.check(&headers(&["Basic b25lOg=="])).await, unauthenticated);
        assert_eq!(Credentials::default().check(&headers(&[])).await, Ok(()));
    }

    // Of people a token is taken as a password, of nobody else.
    #[tokio::test]
    async fn tokens_as_passwords() {
        let basic = |typed: &str| headers(&[&format!("Basic {}", BASE64.encode(typed))]);
        let credentials = Credentials::bearer(["one:two"]);
        assert!(credentials.check(&basic("me:one:two")).await.is_err() && !credentials.can_be_typed());
        let credentials = credentials.for_people();
        assert!(credentials.can_be_typed());
        for (typed, is_good) in
            [("me:one:two", true), (":one:two", true), ("one:two", false), ("me:one", false), ("", false)]
        {
            assert_eq!(credentials.check(&basic(typed)).await.is_ok(), is_good, "{typed:?}");
        }
        assert!(credentials.check(&headers(&["Bearer one:two"])).await.is_ok());
    }

    // Users of both kinds are let in with their own password only, again and again.
    #[tokio::test]
    async fn users_with_passwords() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("htpasswd");
        let hash = bcrypt::hash("wonder:land", 4).unwrap();
        std::fs::write(&file, format!("# users\nalice:{hash}\n\nbob:builder\n")).unwrap();
        let credentials = Credentials::basic_file(file).unwrap();
        let check = async |user_and_password: &str| {
            let header = format!("Basic {}", BASE64.encode(user_and_password));
            credentials.check(&headers(&[&header])).await.is_ok()
        };
        for _ in 0..2 {
            assert!(check("alice:wonder:land").await);
            assert!(check("bob:builder").await);
            for bad in ["alice:builder", "bob:wonder:land", "carol:builder", "alice:", "alice", "", ":", "bob:builde"] {
                assert!(!check(bad).await, "{bad:?}");
            }
        }
        assert!(credentials.check(&headers(&["Basic ?"])).await.is_err());
    }

    // A file without a token, or with something that cannot be one, is refused; comments and empty lines are not tokens.
    #[test]
    fn files_of_tokens() {
        assert_eq!(Tokens::parse(b"# mine\none\r\n\n two \n").unwrap().0, [Digest::of(b"one"), Digest::of(b"two")]);
        assert!(Tokens::parse(b"\n# none\n").is_err());
        assert_eq!(Tokens::parse(b"a\nb c\n").err().unwrap(), "line 2: expected one token, without spaces");
    }

    // Nothing that was read or configured is shown by Debug.
    #[test]
    fn secrets_are_not_shown() {
        let shown = format!("{:?} {:?}", Credentials::bearer(["hunter2"]), Digest::of(b"hunter2"));
        assert!(!shown.contains("hunter2") && shown.contains("***"), "{shown}");
    }
}
