//! Accepting connections: how many, whether encrypted, and for how long one is kept that is silent or does not read.
use crate::server::Limits;
use crate::tls::Tls;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_rustls::Accept;

/// After a failed accept (mostly: no file descriptor left) trying again at once would only spin.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// The length of the HTTP/2 preface. A client that has sent this much is known to hyper's own timers.
const GREETING_LEN: usize = 24;

/// Accepts up to a number of connections at once; more wait in the kernel's queue.
#[derive(Debug)]
pub(crate) struct Acceptor {
    listener: TcpListener,
    tls: Option<Tls>,
    slots: Arc<Semaphore>,
    greeting_timeout: Duration,
    write_timeout: Duration,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener, tls: Option<Tls>, limits: Limits) -> Self {
        let slots = Arc::new(Semaphore::new(limits.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
        let Limits { header_read_timeout: greeting_timeout, write_timeout, .. } = limits;
        Acceptor { listener, tls, slots, greeting_timeout, write_timeout }
    }

    /// The next connection. May be dropped and called again without losing one.
    pub(crate) async fn accept(&self) -> Connection {
        loop {
            let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                // the semaphore is never closed
                return std::future::pending().await;
            };
            let accepted = self.listener.accept().await.and_then(|(stream, _)| {
                // responses are small and must not wait for more
                stream.set_nodelay(true)?;
                Ok(stream)
            });
            match accepted {
                Ok(stream) => return self.connection(stream, slot),
                Err(error) => {
                    tracing::warn!(%error, "connection could not be accepted");
                    tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                }
            }
        }
    }

    fn connection(&self, stream: TcpStream, slot: OwnedSemaphorePermit) -> Connection {
        let stream = match &self.tls {
            Some(tls) => Stream::Handshake(Box::new(tls.accept(stream))),
            None => Stream::Open(Box::new(stream)),
        };
        Connection {
            stream,
            _slot: slot,
            greeting: Some(Box::pin(tokio::time::sleep(self.greeting_timeout))),
            received: 0,
            write_timeout: self.write_timeout,
            unread: None,
        }
    }
}

/// A stream that bytes of requests come from and bytes of answers go to.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

enum Stream {
    /// TLS is not agreed upon yet. That happens as the connection is first read or written, in the task that serves it: a slow
    /// client keeps nobody else waiting.
    Handshake(Box<Accept<TcpStream>>),
    Open(Box<dyn Io>),
    Failed,
}

/// A connection that occupies one slot, and that fails if its client does not begin to speak in time: before the first
/// bytes neither hyper's header timeout nor HTTP/2's keepalive runs. It fails as well if its client does not read: no timer of hyper's runs then.
pub(crate) struct Connection {
    stream: Stream,
    _slot: OwnedSemaphorePermit,
    greeting: Option<Pin<Box<Sleep>>>,
    received: usize,
    write_timeout: Duration,
    /// Runs while the client reads nothing of what it is to be sent.
    unread: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// The stream, once TLS is agreed upon.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Pin<&mut dyn Io>>> {
        if let Some(greeting) = &mut self.greeting
            && greeting.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if let Stream::Handshake(handshake) = &mut self.stream {
            match ready!(Pin::new(handshake).poll(cx)) {
                Ok(stream) => self.stream = Stream::Open(Box::new(stream)),
                Err(error) => {
                    // a handshake that has ended must not be asked again
                    self.stream = Stream::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(match &mut self.stream {
            Stream::Open(stream) => Ok(Pin::new(stream.as_mut())),
            Stream::Handshake(_) | Stream::Failed => Err(io::ErrorKind::NotConnected.into()),
        })
    }

    /// What came of an attempt to write: an error if nothing could be written for too long.
    fn poll_written<T>(&mut self, written: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.unread = None;
            return written;
        }
        let patience = self.write_timeout;
        let unread = self.unread.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(unread.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let filled_before = buffer.filled().len();
        ready!(ready!(self.poll_open(cx))?.poll_read(cx, buffer))?;
        if self.greeting.is_some() {
            self.received += buffer.filled().len() - filled_before;
            if self.received >= GREETING_LEN {
                self.greeting = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.poll_open(cx))?.poll_write(cx, bytes);
        self.poll_written(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(self.poll_open(cx))?.poll_write_vectored(cx, slices);
        self.poll_written(written, cx)
    }

    /// Of TLS it would gather small pieces into one record as well.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = ready!(self.poll_open(cx))?.poll_flush(cx);
        self.poll_written(written, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // TLS has something to say at the end, behind what it has yet to send
        let ended = match &mut self.stream {
            Stream::Open(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
            // nothing was said, so nothing has to be said at the end
            Stream::Handshake(_) | Stream::Failed => return Poll::Ready(Ok(())),
        };
        self.poll_written(ended, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TlsFiles;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    // A client that reads nothing of what it is sent is disconnected; one that reads a little now and then is not.
    #[tokio::test]
    async fn who_does_not_read_is_disconnected() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let patience = Duration::from_millis(200);
        let acceptor = Acceptor::new(listener, None, Limits { write_timeout: patience, ..Limits::default() });
        let page = vec![7; 64 << 20];

        let mut reader = TcpStream::connect(address).await.unwrap();
        let mut writer = acceptor.accept().await;
        let slow = async {
            let mut room = vec![0; 8 << 20];
            for _ in 0..8 {
                tokio::time::sleep(patience / 4).await;
                reader.read_exact(&mut room).await?;
            }
            Ok(())
        };
        tokio::try_join!(writer.write_all(&page), slow).unwrap();

        let _silent = TcpStream::connect(address).await.unwrap();
        let mut writer = acceptor.accept().await;
        let begin = tokio::time::Instant::now();
        let written = tokio::time::timeout(Duration::from_secs(10), writer.write_all(&page)).await.expect("an end");
        assert_eq!(written.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        assert!(begin.elapsed() >= patience);
    }

    /// A stream whose client reads nothing more, so that it does not come to its end either.
    struct Unread;

    impl AsyncRead for Unread {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Unread {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Pending
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    // A client that does not read the end of an encrypted connection is not waited for either.
    #[tokio::test]
    async fn an_end_that_nobody_reads_is_an_end() {
        let mut connection = Connection {
            stream: Stream::Open(Box::new(Unread)),
            _slot: Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap(),
            greeting: None,
            received: 0,
            write_timeout: Duration::from_millis(50),
            unread: None,
        };
        let ended = tokio::time::timeout(Duration::from_secs(10), connection.shutdown()).await.expect("an end");
        assert_eq!(ended.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
    }

    // A client that connects to an encrypted port and stays silent is disconnected, whether the server would read or write first.
    #[tokio::test]
    async fn silent_handshakes_end() {
        let directory = tempfile::tempdir().unwrap();
        let (cert_file, key_file) = (directory.path().join("cert"), directory.path().join("key"));
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        std::fs::write(&cert_file, made.cert.pem()).unwrap();
        std::fs::write(&key_file, made.signing_key.serialize_pem()).unwrap();
        let tls = Tls::from_files(TlsFiles { cert_file, key_file, client_ca_file: None }).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits { header_read_timeout: Duration::from_millis(50), ..Limits::default() };
        let acceptor = Acceptor::new(listener, Some(tls), limits);
        let _silent = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let (mut reading, mut writing) = (acceptor.accept().await, acceptor.accept().await);
        let patience = Duration::from_secs(10);
        let read = tokio::time::timeout(patience, reading.read(&mut [0])).await.expect("an end");
        assert_eq!(read.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
        let written = tokio::time::timeout(patience, writing.write(b"settings")).await.expect("an end");
        assert_eq!(written.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
    }
}
