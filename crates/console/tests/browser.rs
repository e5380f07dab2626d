//! The page in a browser: tests/console/page.mjs drives Chromium, and skips with a printed reason where there is none.
#![allow(clippy::unwrap_used, clippy::panic)]

mod source;

use std::time::{Duration, SystemTime};

use monitor::{EVALUATION_STEP, HOUR};
use source::{Fed, Lots, config, told, traffic};
use spanmill_console::{Console, Settings};
use spanmill_tests::Chromium;

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

// Theme, phone width, crosshair, zoom, keyboard, legend, filter, range, live update, error to trace, and work with monitors: all of
// it works in a browser, whose console stays empty, which asks nothing of anybody else, and in which axe finds nothing serious.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_in_a_browser() {
    let Some(chromium) = Chromium::get() else { return };
    let (fed, begin) = (Fed::new(&config()), now());
    traffic(begin, 3 * HOUR, 40).into_iter().map(source::presentable).for_each(|call| fed.feed(&call));
    fed.advance(begin);
    let feeder = fed.clone();
    tokio::spawn(async move {
        // Calls come just before a step is evaluated, so that between steps all answers are the same.
        let (mut lots, mut number, mut next) =
            (Lots::new(3), 1_000_000, (begin / EVALUATION_STEP + 1) * EVALUATION_STEP);
        loop {
            tokio::time::sleep(Duration::from_nanos(next.saturating_sub(now()))).await;
            for _ in 0..8 {
                number += 1;
                feeder.feed(&source::presentable(told(&mut lots, number, next - 1, begin)));
            }
            feeder.advance(next);
            next += EVALUATION_STEP;
        }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let settings = Settings { trace_link: Some("/trace/{trace_id}".to_owned()) };
    let traces = axum::routing::get(|| async { "a trace" });
    let router = Console::new(fed, settings).router().route("/trace/{id}", traces);
    tokio::spawn(axum::serve(listener, router).into_future());
    let (mut node, pictures) = chromium.script("page.mjs", &address);
    let status = tokio::task::spawn_blocking(move || node.status()).await.unwrap();
    assert!(status.unwrap().success(), "see what node says, and {}/failed.png", pictures.display());
}
