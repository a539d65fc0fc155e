//! How API Gateway names a method of a path. Usage plans and stages do so differently (API Gateway Developer Guide,
//! "Throttle requests to your REST APIs"; API reference, "Patch operations"), and this program by a third name, `GET /health`.

/// As a usage plan's method limits name a route: `/health/GET`; `//GET` for the root.
pub(super) fn in_usage_plan(route: &str) -> String {
    route
        .split_once(' ')
        .map_or_else(|| route.to_owned(), |(method, path)| format!("{path}/{method}"))
}

/// The route that a usage plan's name for it means.
pub(super) fn from_usage_plan(name: &str) -> String {
    name.rsplit_once('/')
        .map_or_else(|| name.to_owned(), |(path, method)| format!("{method} {path}"))
}

/// As a stage's method settings name a route: `~1health/GET`; `~1/GET` for the root. What isn't a route, as `*/*`,
/// is its own name.
pub(super) fn in_stage(route: &str) -> String {
    route.split_once(' ').map_or_else(
        || route.to_owned(),
        |(method, path)| format!("{}/{method}", path.replace('/', "~1")),
    )
}

/// The route that a stage's name for it means. API Gateway takes another spelling too, `health/GET`, and keeps it
/// apart: this stays as it is, because [`in_stage`] must find what is to be removed.
pub(super) fn from_stage(name: &str) -> String {
    name.rsplit_once('/')
        .filter(|(path, _)| path.starts_with("~1"))
        .map(|(path, method)| format!("{method} {}", path.replace("~1", "/")))
        .filter(|route| in_stage(route) == name)
        .unwrap_or_else(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_plan_and_stage_name_a_route_differently() {
        for (route, plan, stage) in [
            ("GET /", "//GET", "~1/GET"),
            ("GET /health", "/health/GET", "~1health/GET"),
            ("PUT /a/{b}", "/a/{b}/PUT", "~1a~1{b}/PUT"),
        ] {
            assert_eq!(
                (in_usage_plan(route), in_stage(route)),
                (plan.to_owned(), stage.to_owned())
            );
            assert_eq!(
                (from_usage_plan(plan), from_stage(stage)),
                (route.to_owned(), route.to_owned())
            );
        }
    }

    #[test]
    fn method_setting_that_is_no_route_keeps_its_name() {
        for name in ["*/*", "health/GET", "a/{b}/PUT"] {
            assert_eq!((from_stage(name), in_stage(name)), (name.to_owned(), name.to_owned()));
        }
    }
}
