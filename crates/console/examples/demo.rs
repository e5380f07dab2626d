//! Page and API over made-up traffic: `cargo run -p spanmill-console --example demo -- [port] [trace link]`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs, reason = "an example")]

#[path = "../tests/source/mod.rs"]
mod source;

use std::time::{Duration, SystemTime};

use monitor::{DAY, SECOND};
use source::{Fed, Lots, config, presentable, told, traffic};
use spanmill_console::{Console, Settings};

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let port: u16 = arguments.next().map_or(13_134, |port| port.parse().unwrap());
    let settings = Settings { trace_link: arguments.next() };
    let fed = Fed::new(&config());
    let begin = now();
    traffic(begin, DAY / 2, 30).into_iter().map(presentable).for_each(|call| fed.feed(&call));
    let feeder = fed.clone();
    std::thread::spawn(move || {
        let (mut lots, mut number) = (Lots::new(begin), 1_000_000);
        loop {
            std::thread::sleep(Duration::from_millis(700));
            number += 1;
            feeder.feed(&presentable(told(&mut lots, number, now(), begin)));
            feeder.advance(now() / SECOND * SECOND);
        }
    });
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
    println!("http://{}/", listener.local_addr().unwrap());
    axum::serve(listener, Console::new(fed, settings).router()).await.unwrap();
}
