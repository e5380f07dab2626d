//! The API under `/api/v1`. It answers JSON; times are milliseconds since the Unix epoch, of the log.

pub(crate) mod alerts;
pub(crate) mod changes;
mod definitions;
pub(crate) mod errors;
mod figures;
pub(crate) mod monitors;
mod named;
pub(crate) mod notifications;
mod over_time;
mod service;
pub(crate) mod traffic;

use axum::Json;
use axum::Router;
use axum::routing::{delete, get, post, put};
use utoipa::openapi::schema::AdditionalProperties;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, Schema};
use utoipa::{Modify, OpenApi};

use crate::console::Console;
use crate::events::{NoParams, events};
use crate::params::Params;
use crate::problem::{PROBLEM_JSON, Problem};

/// What handlers give back.
pub(crate) type Answer<T> = Result<Json<T>, Problem>;

/// What there is: one list for the router and for its description.
macro_rules! resources {
    ($($method:ident $path:literal $module:ident::$handler:ident,)*) => {
        #[derive(OpenApi)]
        #[openapi(
            info(title = "Spanmill", description = "What Spanmill has counted, watches and tells. Times are milliseconds since \
                the Unix epoch, as the log tells them. Figures that no call tells are null.", license(name = "Apache-2.0", identifier = "Apache-2.0")),
            paths($($module::$handler),*, crate::events::events, description),
            modifiers(&NothingElse, &WhoMayAsk),
        )]
        struct Description;

        pub(crate) fn routes() -> Router<Console> {
            Router::new()
                $(.route($path, $method($module::$handler)))*
                .route("/events", get(events))
                .route("/openapi.json", get(description))
        }

        #[cfg(test)]
        const RESOURCES: &[(&str, &str)] =
            &[$((stringify!($method), $path)),*, ("get", "/events"), ("get", "/openapi.json")];
    };
}

resources! {
    get "/overview" traffic::overview,
    get "/series" traffic::series,
    get "/values" traffic::values,
    get "/errors" errors::errors,
    get "/monitors" monitors::monitors,
    post "/monitors" monitors::create,
    get "/monitors/{name}" monitors::monitor,
    put "/monitors/{name}" monitors::replace,
    post "/monitors/{name}/activate" monitors::activate,
    post "/monitors/{name}/pause" monitors::pause,
    post "/monitors/{name}/archive" monitors::archive,
    post "/monitors/{name}/remove" monitors::remove,
    post "/monitors/{name}/mute" monitors::mute,
    get "/monitors/{name}/series" over_time::series,
    get "/monitors/{name}/distribution" over_time::distribution,
    get "/monitors/{name}/charts" changes::charts,
    get "/monitors/{name}/canaries" changes::canaries,
    get "/monitors/{name}/drift" changes::drift,
    get "/alerts" alerts::alerts,
    post "/alerts" definitions::create_alert,
    get "/alerts/{name}" alerts::alert,
    put "/alerts/{name}" definitions::replace_alert,
    delete "/alerts/{name}" definitions::remove_alert,
    get "/slos" alerts::slos,
    post "/slos" definitions::create_slo,
    get "/slos/{name}" alerts::slo,
    put "/slos/{name}" definitions::replace_slo,
    delete "/slos/{name}" definitions::remove_slo,
    get "/notifications" notifications::notifications,
    get "/notifiers" alerts::notifiers,
    get "/prices" service::prices,
    get "/health" service::health,
}

/// Says of what is one of several objects that those have no other fields either: utoipa says so of single ones only.
struct NothingElse;

impl Modify for NothingElse {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let schemas = openapi.components.iter_mut().flat_map(|components| components.schemas.values_mut());
        for schema in schemas {
            let RefOr::T(Schema::OneOf(one_of)) = schema else { continue };
            for one in &mut one_of.items {
                if let RefOr::T(Schema::Object(object)) = one {
                    object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
                }
            }
        }
    }
}

/// With `admin.auth` every request shows who asks, and is refused if it does not.
struct WhoMayAsk;

impl Modify for WhoMayAsk {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let mut requirements = vec![SecurityRequirement::default()];
        let components = openapi.components.get_or_insert_default();
        for (name, scheme) in [("bearer", HttpAuthScheme::Bearer), ("basic", HttpAuthScheme::Basic)] {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
            requirements.push(SecurityRequirement::new(name, <[&str; 0]>::default()));
        }
        openapi.security = Some(requirements);
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let refused =
            ResponseBuilder::new().description("Credentials are missing or wrong").content(PROBLEM_JSON, problem);
        let refused = refused.build();
        for path in openapi.paths.paths.values_mut() {
            let operations = [&mut path.get, &mut path.post, &mut path.put, &mut path.delete];
            for operation in operations.into_iter().flatten() {
                operation.responses.responses.insert("401".to_owned(), RefOr::T(refused.clone()));
            }
        }
    }
}

/// The description of the API: an OpenAPI 3.1 document as JSON.
pub fn openapi() -> String {
    Description::openapi().to_json().unwrap_or_default()
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "description", responses(
    (status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = serde_json::Value),
))]
async fn description(_: Params<NoParams>) -> Answer<utoipa::openapi::OpenApi> {
    Ok(Json(Description::openapi()))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The description lists exactly what is routed, with the same methods.
    #[test]
    fn the_description_is_of_the_routes() {
        let description: serde_json::Value = serde_json::from_str(&openapi()).unwrap();
        let mut described: Vec<(String, String)> = Vec::new();
        for (path, methods) in description["paths"].as_object().unwrap() {
            described.extend(methods.as_object().unwrap().keys().map(|method| (method.clone(), path.clone())));
        }
        let mut routed: Vec<(String, String)> =
            RESOURCES.iter().map(|(method, path)| ((*method).to_owned(), format!("/api/v1{path}"))).collect();
        described.sort();
        routed.sort();
        assert_eq!(described, routed);
        assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    }
}
