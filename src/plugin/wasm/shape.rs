//! What a component imports and exports, written as WIT, as far as its types tell: they have no comments, and know the
//! names of types only where an interface lists them.

use std::collections::BTreeMap;

use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentInstance, ComponentItem, Type};
use wasmtime::component::{Component, ResourceType};

/// Types nest a few levels; whoever nests more has to read the rest elsewhere.
const DEPTH_MAX: usize = 16;

/// Both sides of a component.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Shape {
    /// In the order of the component.
    pub(crate) imports: Vec<Face>,
    /// The same.
    pub(crate) exports: Vec<Face>,
}

/// One import or export.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Face {
    /// With its version: `fingerpost:nameserver/kv@0.1.0`.
    pub(crate) name: String,
    /// The names of its functions; of a function by itself, its own.
    pub(crate) functions: Vec<String>,
    /// The lines that define it.
    pub(crate) wit: Vec<String>,
}

/// What `component` imports and exports.
pub(super) fn of(engine: &Engine, component: &Component) -> Shape {
    let ty = component.component_type();
    let mut known = Known::default();
    let imports = ty.imports(engine).map(|(name, item)| known.face(engine, name, &item.ty)).collect();
    let exports = ty.exports(engine).map(|(name, item)| known.face(engine, name, &item.ty)).collect();
    Shape { imports, exports }
}

/// The names of types met so far.
#[derive(Default)]
struct Known {
    /// By what the type is made of: the interface that defines it, and its name.
    types: BTreeMap<String, (String, String)>,
    resources: Vec<(ResourceType, String)>,
}

impl Known {
    fn face(&mut self, engine: &Engine, name: &str, item: &ComponentItem) -> Face {
        match item {
            ComponentItem::ComponentInstance(interface) => self.interface(engine, name, interface),
            ComponentItem::ComponentFunc(function) => {
                let (functions, wit) =
                    (vec![name.to_owned()], vec![format!("{name}: {};", self.function(function, false))]);
                Face { name: name.to_owned(), functions, wit }
            }
            other => Face { name: name.to_owned(), functions: Vec::new(), wit: vec![format!("// {}", kind(other))] },
        }
    }

    fn interface(&mut self, engine: &Engine, name: &str, interface: &ComponentInstance) -> Face {
        let mut wit = Vec::new();
        // Resources first, so that every handle has a name.
        for (item, found) in interface.exports(engine) {
            if let ComponentItem::Resource(resource) = found.ty
                && !self.resources.iter().any(|(known, _)| *known == resource)
            {
                self.resources.push((resource, item.to_owned()));
            }
        }
        let mut functions = Vec::new();
        let mut of_resources: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut plain = Vec::new();
        for (item, found) in interface.exports(engine) {
            match &found.ty {
                ComponentItem::Type(ty) => wit.extend(self.definition(name, item, ty)),
                ComponentItem::Resource(_) => drop(of_resources.entry(item.to_owned()).or_default()),
                ComponentItem::ComponentFunc(function) => {
                    functions.push(item.to_owned());
                    match Member::of(item) {
                        None => plain.push(format!("{item}: {};", self.function(function, false))),
                        Some(Member { resource, line, takes_self }) => {
                            let line = format!("{line}{};", self.function(function, takes_self));
                            of_resources.entry(resource.to_owned()).or_default().push(line);
                        }
                    }
                }
                other => plain.push(format!("// {item}: {}", kind(other))),
            }
        }
        for (resource, members) in of_resources {
            if members.is_empty() {
                wit.push(format!("resource {resource};"));
                continue;
            }
            wit.push(format!("resource {resource} {{"));
            wit.extend(members.into_iter().map(|line| format!("  {line}")));
            wit.push("}".to_owned());
        }
        wit.extend(plain);
        Face { name: name.to_owned(), functions, wit }
    }

    /// The lines that name a type in an interface.
    fn definition(&mut self, interface: &str, name: &str, ty: &Type) -> Vec<String> {
        let key = self.inside(ty, 0);
        if let Some((home, known)) = self.types.get(&key) {
            return match (home == interface, known == name) {
                (false, true) => vec![format!("use {home}.{{{name}}};")],
                (false, false) => vec![format!("use {home}.{{{known} as {name}}};")],
                (true, _) => vec![format!("type {name} = {known};")],
            };
        }
        let lines = match ty {
            Type::Record(record) => {
                let fields = record.fields().map(|field| format!("  {}: {},", field.name, self.text(&field.ty, 1)));
                block("record", name, fields.collect())
            }
            Type::Variant(variant) => {
                let case = |case: wasmtime::component::types::Case<'_>| match &case.ty {
                    Some(ty) => format!("  {}({}),", case.name, self.text(ty, 1)),
                    None => format!("  {},", case.name),
                };
                block("variant", name, variant.cases().map(case).collect())
            }
            Type::Enum(names) => block("enum", name, names.names().map(|name| format!("  {name},")).collect()),
            Type::Flags(names) => block("flags", name, names.names().map(|name| format!("  {name},")).collect()),
            other => return vec![format!("type {name} = {};", self.text(other, 0))],
        };
        self.types.insert(key, (interface.to_owned(), name.to_owned()));
        lines
    }

    fn function(&self, function: &ComponentFunc, takes_self: bool) -> String {
        let parameters = function.params().skip(usize::from(takes_self));
        let parameters: Vec<_> = parameters.map(|(name, ty)| format!("{name}: {}", self.text(&ty, 0))).collect();
        let result = function.results().next().map_or_else(String::new, |ty| format!(" -> {}", self.text(&ty, 0)));
        let is_async = if function.async_() { "async " } else { "" };
        format!("{is_async}func({}){result}", parameters.join(", "))
    }

    /// A type where it is used.
    fn text(&self, ty: &Type, depth: usize) -> String {
        let has_name = matches!(ty, Type::Record(_) | Type::Variant(_) | Type::Enum(_) | Type::Flags(_));
        match self.types.get(&self.inside(ty, depth)).filter(|_| has_name) {
            Some((_, name)) => name.clone(),
            None => self.inside(ty, depth),
        }
    }

    /// What a type is made of.
    fn inside(&self, ty: &Type, depth: usize) -> String {
        if depth == DEPTH_MAX {
            return "…".to_owned();
        }
        let text = |ty: &Type| self.text(ty, depth + 1);
        let list = |items: Vec<String>| items.join(", ");
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::S8 => "s8".to_owned(),
            Type::U8 => "u8".to_owned(),
            Type::S16 => "s16".to_owned(),
            Type::U16 => "u16".to_owned(),
            Type::S32 => "s32".to_owned(),
            Type::U32 => "u32".to_owned(),
            Type::S64 => "s64".to_owned(),
            Type::U64 => "u64".to_owned(),
            Type::Float32 => "f32".to_owned(),
            Type::Float64 => "f64".to_owned(),
            Type::Char => "char".to_owned(),
            Type::String => "string".to_owned(),
            Type::List(inner) => format!("list<{}>", text(&inner.ty())),
            Type::FixedLengthList(inner) => format!("list<{}, {}>", text(&inner.ty()), inner.len()),
            Type::Map(inner) => format!("map<{}, {}>", text(&inner.key()), text(&inner.value())),
            Type::Option(inner) => format!("option<{}>", text(&inner.ty())),
            Type::Tuple(inner) => format!("tuple<{}>", list(inner.types().map(|ty| text(&ty)).collect())),
            Type::Result(inner) => match (inner.ok(), inner.err()) {
                (None, None) => "result".to_owned(),
                (Some(ok), None) => format!("result<{}>", text(&ok)),
                (ok, Some(err)) => {
                    format!("result<{}, {}>", ok.as_ref().map_or_else(|| "_".to_owned(), text), text(&err))
                }
            },
            Type::Record(inner) => {
                let fields = inner.fields().map(|field| format!("{}: {}", field.name, text(&field.ty)));
                format!("record {{ {} }}", list(fields.collect()))
            }
            Type::Variant(inner) => {
                let cases = inner.cases().map(|case| match &case.ty {
                    Some(ty) => format!("{}({})", case.name, text(ty)),
                    None => case.name.to_owned(),
                });
                format!("variant {{ {} }}", list(cases.collect()))
            }
            Type::Enum(inner) => format!("enum {{ {} }}", list(inner.names().map(str::to_owned).collect())),
            Type::Flags(inner) => format!("flags {{ {} }}", list(inner.names().map(str::to_owned).collect())),
            Type::Own(resource) => self.resource(resource),
            Type::Borrow(resource) => format!("borrow<{}>", self.resource(resource)),
            Type::Future(_) => "future".to_owned(),
            Type::Stream(_) => "stream".to_owned(),
            Type::ErrorContext => "error-context".to_owned(),
        }
    }

    fn resource(&self, resource: &ResourceType) -> String {
        let known = self.resources.iter().find(|(known, _)| known == resource);
        known.map_or_else(|| "a-resource".to_owned(), |(_, name)| name.clone())
    }
}

/// A function that belongs to a resource.
struct Member<'a> {
    resource: &'a str,
    /// Everything before the signature.
    line: String,
    /// Whether the first parameter is the resource itself.
    takes_self: bool,
}

impl<'a> Member<'a> {
    /// None for a function that belongs to the interface.
    fn of(name: &'a str) -> Option<Self> {
        let (kind, rest) = name.strip_prefix('[')?.split_once(']')?;
        let (resource, function) = rest.split_once('.').unwrap_or((rest, ""));
        let (line, takes_self) = match kind {
            "constructor" => ("constructor: ".to_owned(), false),
            "static" => (format!("{function}: static "), false),
            _ => (format!("{function}: "), true),
        };
        Some(Self { resource, line, takes_self })
    }
}

fn block(kind: &str, name: &str, lines: Vec<String>) -> Vec<String> {
    [vec![format!("{kind} {name} {{")], lines, vec!["}".to_owned()]].concat()
}

fn kind(item: &ComponentItem) -> &'static str {
    match item {
        ComponentItem::ComponentFunc(_) => "a function",
        ComponentItem::CoreFunc(_) => "a core function",
        ComponentItem::Module(_) => "a core module",
        ComponentItem::Component(_) => "a component",
        ComponentItem::ComponentInstance(_) => "an interface",
        ComponentItem::Type(_) => "a type",
        ComponentItem::Resource(_) => "a resource",
    }
}
