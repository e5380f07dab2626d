//! What requests of every signal share: resources, scopes in them, and items in those.
//!
//! Source: opentelemetry-proto v1.11, `collector/*/v1/*_service.proto` and `common/v1/common.proto`.

use crate::value::{KeyValue, Value, read_key_value};
use crate::wire::{BYTES, Cursor, InField, Text, VARINT, WireError, key};

/// What [`walk`] tells, in this order: a resource with its attributes, then each scope, then its items.
pub(crate) trait Items {
    /// How the fields are called in the path of an error.
    const FIELDS: Fields;
    /// A resource begins; `message` is the range of the `Resource` (empty if there is none).
    fn resource(&mut self, message: Text);
    /// An attribute of the resource.
    fn resource_attribute(&mut self, key: &[u8], value: Value);
    /// A scope begins.
    fn scope(&mut self, scope: Scope);
    /// An item of the scope, still to be read.
    fn item(&mut self, message: Cursor<'_>) -> Result<(), WireError>;
}

/// Names of the repeated messages of a signal.
pub(crate) struct Fields {
    /// In the request.
    pub(crate) resources: &'static str,
    /// In a resource.
    pub(crate) scopes: &'static str,
    /// In a scope.
    pub(crate) items: &'static str,
}

/// `opentelemetry.proto.common.v1.InstrumentationScope`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scope {
    /// The whole message; its attributes are read with [`attributes`] and [`SCOPE_ATTRIBUTES`].
    pub message: Text,
    /// Name of the instrumentation scope.
    pub name: Text,
    /// Its version.
    pub version: Text,
    /// `schema_url` of the `ScopeSpans` or `ScopeLogs` around it.
    pub schema_url: Text,
}

/// Field number of the attributes in a `Resource`.
pub const RESOURCE_ATTRIBUTES: u32 = 1;
/// Field number of the attributes in an `InstrumentationScope`.
pub const SCOPE_ATTRIBUTES: u32 = 3;

/// Walks a request once from front to back.
pub(crate) fn walk<I: Items>(body: &[u8], told: &mut I) -> Result<(), WireError> {
    const RESOURCES: u32 = key(1, BYTES);
    let mut request = Cursor::new(body)?;
    while !request.is_empty() {
        match request.key()? {
            RESOURCES => request.message().and_then(|m| resource_items(m, told)).in_field(I::FIELDS.resources)?,
            other => request.unexpected(other, &[RESOURCES])?,
        }
    }
    Ok(())
}

/// Checks that `body` is a request of any signal on the outside: fields with numbers, types and lengths that fit. What is inside its
/// messages is not looked at.
///
/// # Errors
/// The first field that does not fit.
pub fn check_envelope(body: &[u8]) -> Result<(), WireError> {
    // Traces, metrics and logs alike: one repeated message, number 1.
    const MESSAGES: u32 = key(1, BYTES);
    let mut request = Cursor::new(body)?;
    while !request.is_empty() {
        match request.key()? {
            MESSAGES => drop(request.message()?),
            other => request.unexpected(other, &[MESSAGES])?,
        }
    }
    Ok(())
}

fn resource_items<I: Items>(message: Cursor<'_>, told: &mut I) -> Result<(), WireError> {
    const RESOURCE: u32 = key(1, BYTES);
    const SCOPES: u32 = key(2, BYTES);
    const SCHEMA_URL: u32 = key(3, BYTES);
    const KNOWN: [u32; 3] = [RESOURCE, SCOPES, SCHEMA_URL];

    // Fields may come in any order, so the resource is looked for before the items are read: stepping over a scope's
    // costs a few instructions, as it is one length.
    let mut last_resource = Text::default();
    let mut fields = message;
    while !fields.is_empty() {
        match fields.key()? {
            RESOURCE => last_resource = fields.text().in_field("resource")?,
            SCOPES | SCHEMA_URL => drop(fields.text()?),
            other => fields.unexpected(other, &KNOWN)?,
        }
    }
    told.resource(last_resource);

    let mut fields = message;
    while !fields.is_empty() {
        match fields.key()? {
            // A message sent in two parts is one message: the attributes of both belong to the resource.
            RESOURCE => fields.message().and_then(|m| resource(m, told)).in_field("resource")?,
            other => fields.skip(other)?,
        }
    }

    let mut fields = message;
    while !fields.is_empty() {
        match fields.key()? {
            SCOPES => fields.message().and_then(|m| scope_items(m, told)).in_field(I::FIELDS.scopes)?,
            other => fields.skip(other)?,
        }
    }
    Ok(())
}

fn resource(mut message: Cursor<'_>, told: &mut impl Items) -> Result<(), WireError> {
    const ATTRIBUTES: u32 = key(RESOURCE_ATTRIBUTES, BYTES);
    const DROPPED: u32 = key(2, VARINT);
    while !message.is_empty() {
        match message.key()? {
            ATTRIBUTES => {
                let pair = message.message().and_then(|m| read_key_value(m, 0)).in_field("attributes")?;
                told.resource_attribute(pair.key.bytes(), pair.value);
            }
            DROPPED => drop(message.varint()?),
            other => message.unexpected(other, &[ATTRIBUTES, DROPPED])?,
        }
    }
    Ok(())
}

fn scope_items<I: Items>(message: Cursor<'_>, told: &mut I) -> Result<(), WireError> {
    const SCOPE: u32 = key(1, BYTES);
    const ITEMS: u32 = key(2, BYTES);
    const SCHEMA_URL: u32 = key(3, BYTES);
    const KNOWN: [u32; 3] = [SCOPE, ITEMS, SCHEMA_URL];

    let mut current = Scope::default();
    let mut fields = message;
    loop {
        // Items come in runs, and are read when the scope is known.
        fields = fields.behind(ITEMS as u8);
        if fields.is_empty() {
            break;
        }
        match fields.key()? {
            SCOPE => {
                let message = fields.message().in_field("scope")?;
                current.message = message.range();
                scope(message, &mut current).in_field("scope")?;
            }
            ITEMS => drop(fields.text().in_field(I::FIELDS.items)?),
            SCHEMA_URL => current.schema_url = fields.text()?,
            other => fields.unexpected(other, &KNOWN)?,
        }
    }
    told.scope(current);

    let mut fields = message;
    while !fields.is_empty() {
        match fields.key()? {
            ITEMS => {
                fields.message().and_then(|m| told.item(m)).in_field(I::FIELDS.items)?;
            }
            other => fields.skip(other)?,
        }
    }
    Ok(())
}

fn scope(mut message: Cursor<'_>, scope: &mut Scope) -> Result<(), WireError> {
    const NAME: u32 = key(1, BYTES);
    const VERSION: u32 = key(2, BYTES);
    const ATTRIBUTES: u32 = key(SCOPE_ATTRIBUTES, BYTES);
    const DROPPED: u32 = key(4, VARINT);
    while !message.is_empty() {
        match message.key()? {
            NAME => scope.name = message.text().in_field("name")?,
            VERSION => scope.version = message.text().in_field("version")?,
            ATTRIBUTES => drop(message.message().and_then(|m| read_key_value(m, 0)).in_field("attributes")?),
            DROPPED => drop(message.varint()?),
            other => message.unexpected(other, &[NAME, VERSION, ATTRIBUTES, DROPPED])?,
        }
    }
    Ok(())
}

/// The attributes of a message that the walk gave as a range; `field` is one of the `*_ATTRIBUTES` numbers.
/// The message was checked by the walk; an unsound one simply ends.
pub fn attributes(body: &[u8], message: Text, field: u32) -> impl Iterator<Item = KeyValue> {
    ranges(body, message, field).filter_map(|pair| Some(read_key_value(Cursor::over(body, pair), 0).ok()?.ranges()))
}

/// The places of the messages in the field `field` of a message.
pub(crate) fn ranges(body: &[u8], message: Text, field: u32) -> impl Iterator<Item = Text> {
    let wanted = key(field, BYTES);
    let mut fields = Cursor::over(body, message);
    std::iter::from_fn(move || {
        while !fields.is_empty() {
            let found = fields.key().ok()?;
            if found == wanted {
                return fields.text().ok();
            }
            fields.skip(found).ok()?;
        }
        None
    })
}
