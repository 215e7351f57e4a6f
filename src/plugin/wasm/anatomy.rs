//! A component taken apart, for its author: what it imports and exports, and every import that nobody offers.

use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, ResourceType};

use super::engine::{Engine, PROCESSOR, ROUTE_POLICY};
use super::shape::{self, Shape};
use super::state::PluginState;
use crate::plugin::manifest::Kind;

/// A component of more imports than this is looked at up to here.
const FAULTS_MAX: usize = 64;

/// What a component is made of.
#[derive(Debug)]
pub(crate) struct Anatomy {
    pub(crate) shape: Shape,
    /// By what it exports; none when it exports neither role, or both.
    pub(crate) kind: Option<Kind>,
    /// Imports that cannot be linked.
    pub(crate) faults: Vec<ImportFault>,
}

/// An import that nobody offers.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct ImportFault {
    /// With its version.
    pub(crate) name: String,
    /// What is missing or different.
    pub(crate) reason: String,
    /// Whether a plugin of the other role would be offered it.
    pub(crate) is_offered_to_the_other: bool,
}

impl Engine {
    /// Takes a component apart.
    pub(crate) fn anatomy(&self, component: &Component) -> Anatomy {
        let exports = |name| component.get_export_index(None, name).is_some();
        let kind = match (exports(PROCESSOR), exports(ROUTE_POLICY)) {
            (true, false) => Some(Kind::Processor),
            (false, true) => Some(Kind::Policy),
            _ => None,
        };
        let faults = kind.map_or_else(Vec::new, |kind| self.faults(kind, component));
        Anatomy { shape: shape::of(&self.engine, component), kind, faults }
    }

    /// Linking stops at the first fault. So each that is found is mended, with what fits and does nothing, and the next
    /// one looked for.
    fn faults(&self, kind: Kind, component: &Component) -> Vec<ImportFault> {
        let (own, other) = match kind {
            Kind::Processor => (&self.processors, &self.policies),
            Kind::Policy => (&self.policies, &self.processors),
        };
        let mut linker = own.clone();
        let mut faults = Vec::new();
        while faults.len() < FAULTS_MAX {
            let Err(error) = linker.substituted_component_type(component) else { break };
            // It says: component imports instance `a:b/c@1.0.0`, but a matching implementation was not found.
            let text = error.to_string();
            let name = text.split('`').nth(1).unwrap_or_default().to_owned();
            let reason = reason(&error);
            if mend(&mut linker, component, &name).is_none() {
                faults.push(ImportFault { name, reason, is_offered_to_the_other: false });
                break;
            }
            let is_offered_to_the_other = self.is_offered(other, component, &name);
            faults.push(ImportFault { name, reason, is_offered_to_the_other });
        }
        faults
    }

    /// Whether what a component imports under this name is what a linker has: then something else is complained about.
    fn is_offered(&self, linker: &Linker<PluginState>, component: &Component, name: &str) -> bool {
        let mut linker = linker.clone();
        for (other, _) in component.component_type().imports(&self.engine).filter(|(other, _)| *other != name) {
            if mend(&mut linker, component, other).is_none() {
                return false;
            }
        }
        linker.substituted_component_type(component).is_ok()
    }
}

/// Why an import does not fit, as the error of the linker has it: outermost first.
fn reason(error: &wasmtime::Error) -> String {
    let causes: Vec<_> = error.chain().skip(1).map(ToString::to_string).collect();
    let missing = causes.last().and_then(|cause| cause.strip_suffix(" implementation is missing"));
    let item = causes.iter().rev().find_map(|cause| cause.split('`').nth(1));
    match (missing, item) {
        (Some(kind), Some(item)) => format!("there is no {kind} `{item}`"),
        (Some(_), None) => "there is no such interface".to_owned(),
        (None, _) if causes.is_empty() => error.to_string(),
        (None, _) => causes.join(": "),
    }
}

/// Puts what a component wants under this name into a linker; none when that cannot be done.
fn mend(linker: &mut Linker<PluginState>, component: &Component, name: &str) -> Option<()> {
    let engine = linker.engine().clone();
    let ty = component.component_type();
    let import = ty.get_import(&engine, name)?;
    linker.allow_shadowing(true);
    match &import.ty {
        ComponentItem::ComponentInstance(interface) => fill(linker, &engine, name, interface),
        ComponentItem::ComponentFunc(_) => linker.root().func_new(name, |_, _, _, _| Ok(())).ok(),
        ComponentItem::Resource(_) => linker.root().resource(name, ResourceType::host::<()>(), |_, _| Ok(())).ok(),
        _ => None,
    }
}

fn fill(
    linker: &mut Linker<PluginState>,
    engine: &wasmtime::Engine,
    name: &str,
    interface: &ComponentInstance,
) -> Option<()> {
    let mut instance = linker.instance(name).ok()?;
    for (item, found) in interface.exports(engine) {
        match found.ty {
            ComponentItem::ComponentFunc(_) => instance.func_new(item, |_, _, _, _| Ok(())).ok()?,
            ComponentItem::Resource(_) => {
                instance.resource(item, ResourceType::host::<()>(), |_, _| Ok(())).ok()?;
            }
            ComponentItem::Type(_) => {}
            _ => return None,
        }
    }
    Some(())
}
