//! Which colour a model has in charts.

use crate::chart::Role;
use crate::worker::{ModelId, Variant, Workspace};
use std::collections::HashSet;

/// A role for every open model, in order. The first float, int8 and uint8 model have their identity's colour; any
/// further one gets a colour of its own, or two lines of a chart would look the same.
pub fn of(workspace: &Workspace) -> Vec<Role> {
    let mut taken = HashSet::new();
    let mut others = 0;
    let mut role = |variant: Variant| {
        let own = match variant {
            Variant::Float => Some(Role::Float),
            Variant::Int8 => Some(Role::Int8),
            Variant::Uint8 => Some(Role::Uint8),
            Variant::Other => None,
        };
        own.filter(|role| taken.insert(*role)).unwrap_or_else(|| {
            others += 1;
            Role::Other(others - 1)
        })
    };
    workspace.models.iter().map(|model| role(model.variant)).collect()
}

/// The role of one model.
pub fn role_of(workspace: &Workspace, model: ModelId) -> Role {
    let position = workspace.models.iter().position(|open| open.id == model);
    position.and_then(|position| of(workspace).get(position).copied()).unwrap_or(Role::Neutral)
}

/// A model's name and role; a closed model's number stands for its name.
pub fn name_and_role(workspace: &Workspace, roles: &[Role], model: ModelId) -> (String, Role) {
    match workspace.models.iter().position(|open| open.id == model) {
        Some(position) => {
            (workspace.models[position].name.clone(), roles.get(position).copied().unwrap_or(Role::Neutral))
        }
        None => (format!("model {model}"), Role::Neutral),
    }
}
