//! The page in a browser: tests/console/page.mjs and looks.mjs drive Chromium; skipped with a printed reason where there is none.
#![allow(clippy::unwrap_used, clippy::panic)]

mod source;

use std::net::SocketAddr;

use monitor::{EVALUATION_STEP, HOUR};
use source::{Fed, Lots, START, Told, config, told, traffic};
use spanmill_console::{Console, Settings};
use spanmill_tests::Chromium;
use tokio::runtime::Runtime;

/// Models beyond those that a filter lists.
const MODELS: u64 = 200;

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

/// Calls that come while the page is open, step by step, as the script asks for it: between steps all answers are the same.
struct Coming {
    fed: Fed,
    lots: Lots,
    /// Where the open step ends.
    end: u64,
    number: u64,
}

impl Coming {
    fn begin() -> Self {
        let fed = Fed::new(&config());
        traffic(START, 3 * HOUR, 40).into_iter().map(source::presentable).for_each(|call| fed.feed(&call));
        fed.advance(START);
        Self { fed, lots: Lots::new(3), end: START + EVALUATION_STEP, number: 1_000_000 }
    }

    fn next(&mut self) -> Told {
        self.number += 1;
        source::presentable(told(&mut self.lots, self.number, self.end - 1, START))
    }

    /// Ends the step.
    fn step(&mut self) {
        for _ in 0..4 {
            let call = self.next();
            self.fed.feed(&call);
        }
        self.fed.advance(self.end);
        self.end += EVALUATION_STEP;
    }

    /// A call of each of many models.
    fn models(&mut self) {
        for number in 0..MODELS {
            let call = Told { model: format!("model-{number}").leak(), ..self.next() };
            self.fed.feed(&call);
        }
    }
}

// Theme, crosshair, zoom, keyboard, legend, filter, range, live update, a server that goes and comes back, error to trace, and work with
// monitors: all of it works in a browser, whose console stays empty, and which asks nothing of anybody else.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_works_in_a_browser() {
    let Some(chromium) = Chromium::get() else { return };
    let mut coming = Coming::begin();
    let fed = coming.fed.clone();
    let (mut server, address) = serve(fed.clone(), "127.0.0.1:0".parse().unwrap());
    let answer = async |what: &str| {
        match what {
            "step" => coming.step(),
            "models" => coming.models(),
            // All of its connections go with it.
            "stop" => server.take().unwrap().shutdown_background(),
            _ => server = serve(fed.clone(), address).0,
        }
        MODELS.to_string()
    };
    chromium.run("page.mjs", &format!("http://{address}"), answer).await;
    server.take().unwrap().shutdown_background();
}

// Every page fits a phone, and axe finds nothing serious in any, light or dark; the README's picture is taken.
#[tokio::test(flavor = "multi_thread")]
async fn pages_look_as_they_should() {
    let Some(chromium) = Chromium::get() else { return };
    let (server, address) = serve(Coming::begin().fed, "127.0.0.1:0".parse().unwrap());
    chromium.run("looks.mjs", &format!("http://{address}"), async |what| panic!("nobody answers {what}")).await;
    server.unwrap().shutdown_background();
}
