//! The page in a browser: tests/console/page.mjs drives Chromium, and skips with a printed reason where there is none.
#![allow(clippy::unwrap_used, clippy::panic)]

mod source;

use std::net::SocketAddr;
use std::time::SystemTime;

use monitor::{EVALUATION_STEP, HOUR};
use source::{Fed, Lots, config, told, traffic};
use spanmill_console::{Console, Settings};
use spanmill_tests::Chromium;
use tokio::runtime::Runtime;

/// Models beyond those that a filter lists.
const MODELS: u64 = 200;

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64
}

/// A server of the page, in a runtime of its own, and where it listens.
fn serve(fed: Fed, address: SocketAddr) -> (Option<Runtime>, SocketAddr) {
    let runtime = Runtime::new().unwrap();
    let listener = std::net::TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    runtime.spawn(async move {
        let settings = Settings { trace_link: Some("/trace/{trace_id}".to_owned()) };
        let traces = axum::routing::get(|| async { "a trace" });
        let router = Console::new(fed, settings).router().route("/trace/{id}", traces);
        axum::serve(tokio::net::TcpListener::from_std(listener).unwrap(), router).await
    });
    (Some(runtime), address)
}

// Theme, phone width, crosshair, zoom, keyboard, legend, filter, range, live update, a server that goes and comes back, error to trace, and
// work with monitors: all of it works in a browser, whose console stays empty, which asks nothing of anybody else, and in which axe finds
// nothing serious.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_in_a_browser() {
    let Some(chromium) = Chromium::get() else { return };
    let (fed, begin) = (Fed::new(&config()), now());
    traffic(begin, 3 * HOUR, 40).into_iter().map(source::presentable).for_each(|call| fed.feed(&call));
    fed.advance(begin);
    let (mut lots, mut number, mut next) = (Lots::new(3), 1_000_000, (begin / EVALUATION_STEP + 1) * EVALUATION_STEP);
    let (mut server, address) = serve(fed.clone(), "127.0.0.1:0".parse().unwrap());
    let answer = async |what: &str| {
        match what {
            "models" => (0..MODELS).for_each(|number| {
                let told = told(&mut Lots::new(4), 2_000_000 + number, next - 1, begin);
                fed.feed(&source::Told { model: format!("model-{number}").leak(), ..told });
            }),
            // The time passes when the script says so. Calls come just before a step is evaluated, so that between steps all answers are the
            // same.
            "step" => {
                for _ in 0..4 {
                    number += 1;
                    fed.feed(&source::presentable(told(&mut lots, number, next - 1, begin)));
                }
                fed.advance(next);
                next += EVALUATION_STEP;
            }
            // All of its connections go with it.
            "stop" => server.take().unwrap().shutdown_background(),
            "start" => server = serve(fed.clone(), address).0,
            other => panic!("the script asks for {other}"),
        }
        MODELS.to_string()
    };
    chromium.run("page.mjs", &format!("http://{address}"), answer).await;
    server.take().unwrap().shutdown_background();
}
