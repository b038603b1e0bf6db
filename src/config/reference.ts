/**
 * What people and editors read about the options, all of it made from the schema that checks them, so that it cannot
 * drift: the JSON Schema, the option table of the README and the documented types of `defineGateway`. Pure.
 */
import { z } from '../schema.ts'
import { gatewaySchema } from './gateway-options.ts'

/** The part of JSON Schema (draft 07) that our vocabulary turns into. */
export interface JsonSchema {
  readonly $ref?: string
  readonly description?: string
  readonly default?: unknown
  /** Ours: the word for a type in the table and in TypeScript; not published. */
  readonly typeName?: string
  readonly type?: string | readonly string[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly allOf?: readonly JsonSchema[]
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly additionalProperties?: JsonSchema | boolean
  readonly definitions?: Readonly<Record<string, JsonSchema>>
}

/** The schema of what users write, with our own words in it. */
function annotated(): JsonSchema {
  return z.toJSONSchema(gatewaySchema, { io: 'input', target: 'draft-07' }) as JsonSchema
}

/** The text of `sluice.schema.json`: draft 07, which every editor knows. */
export function jsonSchema(): string {
  const { $schema, ...rest } = annotated() as JsonSchema & { readonly $schema?: string }
  const published = { $schema, title: 'Sluice configuration', ...rest }
  const text = JSON.stringify(published, (key, value: unknown) => (key === 'typeName' ? undefined : value), 2)
  // Short lists of words on one line, as the formatter of the project has them.
  const packed = text.replace(
    /^(.*)\[\n([^[\]{}]*?)\n *\](,?)$/gm,
    (whole: string, head: string, entries: string, comma: string) => {
      const line = `${head}[${entries.trim().replaceAll(/,\n\s*/g, ', ')}]${comma}`
      return line.length <= 110 ? line : whole
    },
  )
  return `${packed}\n`
}

/** The options as a Markdown table, one line each, in the order of the schema. */
export function optionTable(): string {
  const root = annotated()
  const rows = ['| Option | Type | Default | Meaning |', '| --- | --- | --- | --- |']
  const visit = (schema: JsonSchema, path: string): void => {
    for (const [name, option] of Object.entries(schema.properties ?? {})) {
      const full = path === '' ? name : `${path}.${name}`
      const must = schema.required?.includes(name) === true
      const standard = printDefault(option.default)
      const shown = must ? 'required' : standard === undefined ? '' : `\`${standard}\``
      const type = shapeOf(option, root)
      rows.push(`| \`${full}\` | ${cell(type)} | ${cell(shown)} | ${cell(option.description ?? '')} |`)
      for (const [inner, suffix] of objectsIn(option, root)) visit(inner, `${full}${suffix}`)
    }
  }
  visit(root, '')
  return `${rows.join('\n')}\n`
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}

/** The objects below an option, each with what its place adds to the path. */
function objectsIn(schema: JsonSchema, root: JsonSchema): [JsonSchema, string][] {
  const target = follow(schema, root)
  const branches = target.anyOf ?? [target]
  return branches.flatMap((branch): [JsonSchema, string][] => {
    const at = follow(branch, root)
    if (at.properties !== undefined) return [[at, '']]
    if (at.items !== undefined) return objectsIn(at.items, root).map(([inner, rest]) => [inner, `[]${rest}`])
    if (typeof at.additionalProperties !== 'object') return []
    return objectsIn(at.additionalProperties, root).map(([inner, rest]) => [inner, `.<name>${rest}`])
  })
}

function shapeOf(schema: JsonSchema, root: JsonSchema): string {
  const at = follow(schema, root)
  if (at.typeName !== undefined) return at.typeName.toLowerCase()
  if (at.const !== undefined) return `\`${JSON.stringify(at.const)}\``
  if (at.enum !== undefined) return at.enum.map((value) => `\`${JSON.stringify(value)}\``).join(' | ')
  if (at.anyOf !== undefined) return [...new Set(at.anyOf.map((branch) => shapeOf(branch, root)))].join(' | ')
  if (at.items !== undefined) {
    const entry = shapeOf(at.items, root)
    return entry.includes(' | ') ? `list of (${entry})` : `list of ${entry}`
  }
  if (typeof at.additionalProperties === 'object') return `table of ${shapeOf(at.additionalProperties, root)}`
  return at.type === 'string' ? 'text' : String(at.type ?? 'any')
}

/** The text of gateway-config.ts: an interface for every object, named by its id or by its place. */
export function configTypes(): string {
  const root = annotated()
  const interfaces: string[] = []
  addInterface('', root, interfaces)
  for (const [name, schema] of Object.entries(root.definitions ?? {})) addInterface(name, schema, interfaces)
  const blocks = [
    '// Made by `npm run docs` from the schema (gateway-options.ts). Do not edit: change the descriptions there.',
    '/** A time: "500ms", "10s", "5m", "1h30m", "365d", or a number of milliseconds. */\nexport type Duration = string | number',
    '/** A number of bytes: "64KiB", "10MiB", "1MB", or a plain number. */\nexport type Size = string | number',
    ...interfaces,
  ]
  return `${blocks.join('\n\n')}\n`
}

function addInterface(name: string, schema: JsonSchema, interfaces: string[]): void {
  const place = interfaces.push('') - 1
  const lines = Object.entries(schema.properties ?? {}).map(([key, option]) => {
    const must = schema.required?.includes(key) === true
    const type = typeOf(option, `${name}${key.charAt(0).toUpperCase()}${key.slice(1)}`, interfaces)
    return `${documentation(option)}  ${key}${must ? '' : '?'}: ${type}${must ? '' : ' | undefined'}`
  })
  const about =
    name === '' ? '/** The whole configuration. At least one upstream or one route is needed. */\n' : ''
  interfaces[place] =
    `${about}export interface ${name === '' ? 'Gateway' : name}Config {\n${lines.join('\n')}\n}`
}

function documentation({ description, default: standard }: JsonSchema): string {
  if (description === undefined) return ''
  const safe = description.replaceAll('*/', '*\\/')
  const printed = printDefault(standard)
  return printed === undefined
    ? `  /** ${safe} */\n`
    : `  /**\n   * ${safe}\n   * @default ${printed}\n   */\n`
}

/** `name` is what an object without an id is called, from its place: `RouteMatch`, `TlsCertificate`. */
function typeOf(schema: JsonSchema, name: string, interfaces: string[]): string {
  if (schema.typeName !== undefined) return schema.typeName
  if (schema.allOf?.length === 1) return typeOf(schema.allOf[0] as JsonSchema, name, interfaces)
  if (schema.$ref !== undefined) return `${schema.$ref.split('/').at(-1)}Config`
  if (schema.const !== undefined) return literal(schema.const)
  if (schema.enum !== undefined) return schema.enum.map(literal).join(' | ')
  if (schema.anyOf !== undefined) {
    const types = new Set(schema.anyOf.map((branch) => typeOf(branch, name, interfaces)))
    // A word beside any text says nothing.
    return [...types].filter((type) => !type.startsWith("'") || !types.has('string')).join(' | ')
  }
  if (schema.items !== undefined) {
    const entry = typeOf(schema.items, name.replace(/s$/, ''), interfaces)
    return `readonly ${entry.includes(' ') ? `(${entry})` : entry}[]`
  }
  if (schema.properties !== undefined) {
    addInterface(name, schema, interfaces)
    return `${name}Config`
  }
  if (typeof schema.additionalProperties === 'object') {
    return `Readonly<Record<string, ${typeOf(schema.additionalProperties, name, interfaces)}>>`
  }
  return Array.isArray(schema.type) ? schema.type.join(' | ') : String(schema.type ?? 'unknown')
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}

/** A default as users would write it; none for what only opens a group of options, or is described in words. */
function printDefault(value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0))
    return undefined
  return typeof value === 'object' ? undefined : JSON.stringify(value)
}

function follow(schema: JsonSchema, root: JsonSchema): JsonSchema {
  const reference = schema.$ref ?? (schema.allOf?.length === 1 ? schema.allOf[0]?.$ref : undefined)
  if (reference === undefined) return schema
  return root.definitions?.[reference.split('/').at(-1) as string] ?? schema
}
