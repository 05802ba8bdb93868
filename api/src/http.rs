//! Connections: each has a task of its own, and none is kept that does not say what it wants.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    serve::Listener,
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{net::TcpListener, sync::watch};
use tower::ServiceExt;

/// How long the head of a request may take to arrive, from the beginning of the connection or the last answer on. That is also how
/// long a connection may lie idle: longer than proxies keep one open, or they would send requests into one that is closing.
const HEAD_WITHIN: Duration = Duration::from_secs(75);

/// Answers requests until told to stop; then those that are under way.
pub(crate) async fn serve(listener: TcpListener, routes: Router, stopped: watch::Receiver<bool>) {
    serve_within(HEAD_WITHIN, listener, routes, stopped).await;
}

async fn serve_within(
    head_within: Duration,
    mut listener: TcpListener,
    routes: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head_within);
    loop {
        // Waits a second where there are no more file descriptors.
        let (stream, peer) = tokio::select! {
            biased;
            _ = stopped.wait_for(|stop| *stop) => break,
            accepted = Listener::accept(&mut listener) => accepted,
        };
        // Answers are small; waiting to fill a packet would cost tens of milliseconds.
        let _ = stream.set_nodelay(true);
        let routes = routes.clone();
        let service = service_fn(move |request| routes.clone().oneshot(from(peer, request)));
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service));
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, %error, "a connection was cut");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The request, which says who sent it.
fn from(peer: SocketAddr, mut request: hyper::Request<Incoming>) -> Request<Incoming> {
    request.extensions_mut().insert(ConnectInfo(peer));
    request
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    #[tokio::test]
    async fn who_does_not_come_to_the_end_of_a_head_is_not_waited_for() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("it listens");
        let (stop, stopped) = watch::channel(false);
        let within = Duration::from_millis(20);
        let served = tokio::spawn(serve_within(within, listener, Router::new(), stopped));
        for half in ["", "GET / HTTP/1.1\r\nhost: o"] {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream.write_all(half.as_bytes()).await.expect("it is read");
            let mut answer = vec![];
            stream.read_to_end(&mut answer).await.expect("it is closed");
            assert!(answer.is_empty(), "after {half:?}");
        }
        stop.send(true).expect("it is served still");
        served.await.expect("it ends");
    }
}
