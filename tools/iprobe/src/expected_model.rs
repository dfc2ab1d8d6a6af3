//! Which model a server has to list to be the one that was asked for.
use crate::router::Router;
use record::{Engine, Plan};

/// Which id the server has to list.
#[derive(Clone, Debug)]
pub(crate) enum ExpectedModel {
    /// This one.
    Name(String),
    /// The only one; among several, this path or name of the model.
    Only(Option<String>),
    /// Whatever a router has.
    Routed(Router),
    /// Any: nothing is known of the server.
    Any,
}

impl ExpectedModel {
    /// A server that is told where its models are, and none of them, is a router, which lists all.
    pub(crate) fn of(plan: &Plan) -> Self {
        let told = |flag: &str| plan.args.iter().any(|arg| arg == flag);
        let (preset, folder) = (told("--models-preset"), told("--models-dir"));
        match &plan.served_name {
            Some(name) => Self::Name(name.clone()),
            None if plan.engine == Engine::LlamaCpp && plan.model.is_none() && (preset || folder) => {
                Self::Routed(Router::of(!preset))
            }
            None => Self::Only(plan.model.clone()),
        }
    }

    /// The expected id among those listed, or why it is not there.
    pub(crate) fn among(&self, mut ids: Vec<String>) -> Result<String, String> {
        let list = if ids.is_empty() { "nothing".to_owned() } else { ids.join(", ") };
        let here = |name: &String| ids.contains(name);
        match self {
            Self::Name(name) if here(name) => Ok(name.clone()),
            Self::Name(name) => Err(format!("/v1/models lists {list}, not {name}")),
            Self::Only(Some(model)) if here(model) => Ok(model.clone()),
            Self::Only(_) if ids.len() == 1 => Ok(ids.remove(0)),
            Self::Only(_) => Err(format!("/v1/models lists {list}, and no served name says which")),
            Self::Any | Self::Routed(_) if ids.is_empty() => Err("/v1/models lists nothing".to_owned()),
            Self::Any | Self::Routed(_) => Ok(ids.remove(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(expected: &ExpectedModel, ids: &[&str]) -> Result<String, String> {
        expected.among(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    #[test]
    fn with_a_served_name_only_that_name_counts() {
        let expected = ExpectedModel::Name("glm4".to_owned());
        assert_eq!(among(&expected, &["other", "glm4"]).unwrap(), "glm4");
        assert_eq!(among(&expected, &["other"]).unwrap_err(), "/v1/models lists other, not glm4");
        assert_eq!(among(&expected, &[]).unwrap_err(), "/v1/models lists nothing, not glm4");
    }

    #[test]
    fn without_one_the_only_id_is_taken_and_the_models_path_among_several() {
        let expected = ExpectedModel::Only(Some("/m".to_owned()));
        assert_eq!(among(&expected, &["tiny.gguf"]).unwrap(), "tiny.gguf");
        assert_eq!(among(&expected, &["lora", "/m"]).unwrap(), "/m");
        assert!(among(&expected, &["a", "b"]).unwrap_err().ends_with("no served name says which"));
        assert!(among(&ExpectedModel::Only(None), &[]).is_err());
    }

    #[test]
    fn of_an_unknown_server_the_first_is_taken() {
        assert_eq!(among(&ExpectedModel::Any, &["a", "b"]).unwrap(), "a");
        assert!(among(&ExpectedModel::Any, &[]).is_err());
    }
}
