//! Users and passwords, in the format of Apache's `htpasswd`: `name:password`, one a line.
use crate::Refusal;
use crate::credentials::{Digest, lines};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// A client whose password cannot be checked within this time is asked to come again.
const CHECK_WITHIN: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Clients whose password is checked or waits for that: each has a place in the budget meanwhile, which guessing must not take from those who are
/// known.
const MOST_CHECKED: usize = 64;

/// The users of one file.
pub(crate) struct Users {
    users: Vec<User>,
    /// Users with their passwords, as they were shown and found right: bcrypt is slow on purpose, and clients come often.
    known: Mutex<HashSet<Digest>>,
    /// Those who may wait for a check.
    waiting: Semaphore,
    /// Passwords that are checked at once: guessing must not take what counting needs.
    checks: Arc<Semaphore>,
}

struct User {
    name: Vec<u8>,
    password: Password,
}

enum Password {
    Plain(Digest),
    Bcrypt(Arc<str>),
}

impl Password {
    fn parse(text: &[u8]) -> Result<Self, &'static str> {
        let is_bcrypt = [&b"$2a$"[..], b"$2b$", b"$2x$", b"$2y$"].iter().any(|prefix| text.starts_with(prefix));
        if is_bcrypt {
            let hash = std::str::from_utf8(text).map_err(|_| "expected a bcrypt hash")?;
            hash.parse::<bcrypt::HashParts>().map_err(|_| "expected a bcrypt hash")?;
            return Ok(Password::Bcrypt(hash.into()));
        }
        match text {
            [b'$' | b'{', ..] => Err("expected a bcrypt hash (htpasswd -B)"),
            [] => Err("expected a password"),
            _ => Ok(Password::Plain(Digest::of(text))),
        }
    }
}

impl Users {
    pub(crate) fn parse(content: &[u8]) -> Result<Self, String> {
        let mut users: Vec<User> = Vec::new();
        for (number, line) in lines(content) {
            let wrong = |what: &str| format!("line {number}: {what}");
            let (name, password) =
                split(line).filter(|(name, _)| !name.is_empty()).ok_or(wrong("expected USER:PASSWORD"))?;
            if users.iter().any(|user| user.name == name) {
                return Err(wrong("this user stands twice"));
            }
            users.push(User { name: name.to_vec(), password: Password::parse(password).map_err(wrong)? });
        }
        if users.is_empty() {
            return Err("there is no user in it".to_owned());
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (waiting, checks) = (Semaphore::new(MOST_CHECKED), Semaphore::new((cores / 4).max(1)));
        Ok(Users { users, known: Mutex::default(), waiting, checks: Arc::new(checks) })
    }

    /// Whether there is this user with this password.
    pub(crate) async fn contains(&self, user_and_password: &[u8]) -> Result<bool, Refusal> {
        let Some((name, password)) = split(user_and_password) else { return Ok(false) };
        let user = self.users.iter().find(|user| user.name == name);
        // Of an unknown user a password is checked as well: the time must not tell who is known.
        let Some(checked) = user.or(self.users.first()) else { return Ok(false) };
        let is_right = match &checked.password {
            Password::Plain(digest) => digest.same(&Digest::of(password)).into(),
            Password::Bcrypt(hash) => {
                let shown = Digest::of(user_and_password);
                if self.known().contains(&shown) {
                    return Ok(true);
                }
                let is_right = self.matches_hash(shown, password.to_vec(), Arc::clone(hash)).await?;
                if is_right && user.is_some() {
                    self.known().insert(shown);
                }
                is_right
            }
        };
        Ok(is_right && user.is_some())
    }

    async fn matches_hash(&self, shown: Digest, password: Vec<u8>, hash: Arc<str>) -> Result<bool, Refusal> {
        let busy = Refusal::Busy { retry_after: RETRY_AFTER };
        let Ok(_waiting) = self.waiting.try_acquire() else { return Err(busy) };
        let check = async {
            let turn = Arc::clone(&self.checks).acquire_owned().await.ok()?;
            // Clients that share a password come together, after a start: the first is checked for all of them.
            if self.known().contains(&shown) {
                return Some(true);
            }
            let verify = move || {
                // Its turn lasts as long as the check does, also if nobody waits for it any more.
                let _turn = turn;
                bcrypt::verify(password, &hash).unwrap_or(false)
            };
            tokio::task::spawn_blocking(verify).await.ok()
        };
        let checked = tokio::time::timeout(CHECK_WITHIN, check).await.ok().flatten();
        checked.ok_or(busy)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashSet<Digest>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn split(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = text.iter().position(|byte| *byte == b':')?;
    Some((&text[..colon], &text[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use tokio::sync::OwnedSemaphorePermit;

    use super::*;

    /// As long as these are held, no check begins.
    async fn all_turns(users: &Users) -> OwnedSemaphorePermit {
        let turns = users.checks.available_permits().try_into().unwrap();
        Arc::clone(&users.checks).acquire_many_owned(turns).await.unwrap()
    }

    // Of clients that show the same, none is checked any more once one was found right.
    #[tokio::test]
    async fn one_is_checked_for_all() {
        let hash = bcrypt::hash("another", 4).unwrap();
        let users = Users::parse(format!("alice:{hash}\n").as_bytes()).unwrap();
        let all_turns = all_turns(&users).await;
        let mut waiting = Box::pin(users.contains(b"alice:right"));
        assert!(waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        users.known().insert(Digest::of(b"alice:right"));
        drop(all_turns);
        assert_eq!(waiting.await, Ok(true), "a check would find it wrong");
    }

    // However many guess, few of them wait, and those whose password takes no time to check do not wait behind them.
    #[tokio::test]
    async fn few_wait_for_a_check() {
        let hash = bcrypt::hash("right", 4).unwrap();
        let users = Users::parse(format!("alice:{hash}\nbob:builder\n").as_bytes()).unwrap();
        let all_turns = all_turns(&users).await;
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting: Vec<_> = (0..MOST_CHECKED).map(|_| Box::pin(users.contains(b"alice:wrong"))).collect();
        assert!(waiting.iter_mut().all(|guess| guess.as_mut().poll(&mut context).is_pending()));
        let mut another = Box::pin(users.contains(b"alice:right"));
        assert!(matches!(another.as_mut().poll(&mut context), Poll::Ready(Err(Refusal::Busy { .. }))));
        assert_eq!(users.contains(b"bob:builder").await, Ok(true));
        drop((waiting, all_turns));
        assert_eq!(users.contains(b"alice:right").await, Ok(true));
    }

    // What no password can be checked against is refused with its line.
    #[test]
    fn files_that_are_refused() {
        for (content, expected) in [
            ("", "there is no user in it"),
            ("a:b\nc", "line 2: expected USER:PASSWORD"),
            (":b", "line 1: expected USER:PASSWORD"),
            ("a:", "line 1: expected a password"),
            ("a:b\na:c", "line 2: this user stands twice"),
            ("a:$apr1$salt$hash", "line 1: expected a bcrypt hash (htpasswd -B)"),
            ("a:{SHA}hash", "line 1: expected a bcrypt hash (htpasswd -B)"),
            ("a:$2y$05$short", "line 1: expected a bcrypt hash"),
        ] {
            assert_eq!(Users::parse(content.as_bytes()).err().as_deref(), Some(expected), "{content:?}");
        }
    }
}
