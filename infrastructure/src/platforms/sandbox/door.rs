//! Connections that can be cut from within a request, for the platform that hangs up without an answer.
//! A handler cannot close its own line, so the line looks at a switch each time it is read or written.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// Accepts lines until the shop is closed, and lets none of them outlive it.
pub(in super::super) struct Door {
    listener: TcpListener,
    closed: Arc<AtomicBool>,
}

impl Door {
    pub(in super::super) fn new(listener: TcpListener, closed: Arc<AtomicBool>) -> Self {
        Self { listener, closed }
    }
}

impl Listener for Door {
    type Io = Line;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Line, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, address)) => {
                    // Small answers are not to wait for each other's acknowledgement.
                    let _ = stream.set_nodelay(true);
                    return (Line { stream, closed: self.closed.clone(), cut: Cut::default() }, address);
                }
                Err(error) => {
                    tracing::warn!(%error, "the stand-in shop cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The switch of one line.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Cut(Arc<AtomicBool>);

impl Cut {
    /// Nothing more is written; whatever is answered after this only wakes the line so that it notices.
    pub(in super::super) fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Connected<IncomingStream<'_, Door>> for Cut {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.io().cut.clone()
    }
}

pub(in super::super) struct Line {
    stream: TcpStream,
    closed: Arc<AtomicBool>,
    cut: Cut,
}

impl Line {
    fn check(&self) -> io::Result<()> {
        if self.cut.0.load(Ordering::Acquire) || self.closed.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
