import {
  choice,
  cidr,
  duration,
  headerName,
  headerValue,
  hostPattern,
  listOf,
  name,
  oneOf,
  oneOrMore,
  size,
  strictObject,
  tableOf,
  text,
  whole,
  z,
} from '../schema.ts'
import type { Checked } from '../schema.ts'
import type { HeaderEdits } from '../exchange.ts'
import { mayEdit } from './header-edits.ts'
import type { Condition, MaintenanceOptions, RouteAction, RouteMatch, RouteOptions } from './options.ts'
import { parsePathPattern } from './pattern.ts'
import { compileRedirect } from './redirect.ts'

/** What users may write in `routes`; `resolveRoute` turns it into RouteOptions. */

const pathPattern = text('a path', 2_000).superRefine((written, context) => {
  const pattern = parsePathPattern(written)
  if (typeof pattern === 'string') context.addIssue(pattern)
})

const prefix = text('a path prefix', 1_000).superRefine((written, context) => {
  const pattern = parsePathPattern(written)
  const literal =
    typeof pattern !== 'string' && !pattern.open && pattern.segments.every(({ kind }) => kind === 'literal')
  if (!literal || written.endsWith('/')) {
    context.addIssue(
      `expected a prefix such as "/api", without a slash at its end, got ${JSON.stringify(written)}`,
    )
  }
})

const method = text('a method', 32).superRefine((written, context) => {
  if (!/^[A-Z][A-Z-]*$/.test(written) || written === 'TRACE' || written === 'CONNECT') {
    context.addIssue(`expected a method in capitals (not TRACE or CONNECT), got ${JSON.stringify(written)}`)
  }
})

const editName = headerName().superRefine((written, context) => {
  if (!mayEdit(written.toLowerCase())) {
    context.addIssue(`${written} is written by the gateway and cannot be edited`)
  }
})

const headerEdits = strictObject({
  set: tableOf(editName, headerValue(), 100).optional().describe('Replaces the field, or adds it.'),
  add: tableOf(editName, oneOrMore(headerValue(), 20), 100)
    .optional()
    .describe('Adds lines beside those that are there.'),
  remove: listOf(editName, 100)
    .optional()
    .describe('Takes the field out, every line of it; done before set and add.'),
})

const presence = z.literal(true)

export const routeMatchSchema = strictObject({
  host: oneOrMore(hostPattern())
    .optional()
    .describe('Host without port; `*.example.com` covers one label or more in front. Default: any.'),
  path: oneOrMore(pathPattern)
    .optional()
    .describe('`/exact`, `/prefix/*` (also `/prefix` itself) or `/users/:id/posts`. Default: any.'),
  method: oneOrMore(method, 50).optional().describe('Methods; GET takes HEAD too. Default: any.'),
  headers: tableOf(headerName(), oneOf(headerValue(), presence), 50)
    .optional()
    .describe('Fields that must be there: with this value, or `true` for any.'),
  query: tableOf(text('a parameter', 200), oneOf(z.string().max(2_000), presence), 50)
    .optional()
    .describe('Query parameters that must be there: with this value, or `true` for any.'),
})

const proxySchema = strictObject({
  upstream: name().describe('Name of one of `upstreams`.'),
  host: text('a host', 255)
    .superRefine((written, context) => {
      if (!/^[A-Za-z0-9._-]+(:\d{1,5})?$|^\[[0-9A-Fa-f:.]+\](:\d{1,5})?$/.test(written)) {
        context.addIssue(`expected "client", "endpoint" or a host, got ${JSON.stringify(written)}`)
      }
    })
    .prefault('client')
    .describe(
      "Host for the upstream: `client` keeps the one that came, `endpoint` takes the endpoint's own, or a literal.",
    ),
  responseTimeout: duration(1)
    .optional()
    .describe("How long the response head may take; default: the upstream's."),
  bodyIdleTimeout: duration(1)
    .optional()
    .describe("Longest silence within a response body; default: the upstream's."),
})

const redirectSchema = strictObject({
  to: text('a URL', 2_000).describe(
    'URL or path; knows `{scheme} {host} {path} {query} {target}`, the parameters of the path, and `{rest}` for what its `*` covered.',
  ),
  status: choice(301, 302, 303, 307, 308).prefault(308).describe('Status of the redirect.'),
})

const respondSchema = strictObject({
  status: whole(200, 599).prefault(200).describe('Status of the answer.'),
  headers: tableOf(editName, headerValue(), 100).optional().describe('Fields of the answer.'),
  body: z.string().max(1_048_576).optional().describe('Text of the answer, at most 1 MiB.'),
})

const maintenanceSchema = strictObject({
  retryAfter: duration(1_000).optional().describe('Retry-After.'),
  body: text('a sentence', 500).optional().describe('A sentence for the page.'),
  allow: listOf(cidr()).optional().describe('Clients that pass on to the action beside.'),
})

export const routeSchema = strictObject({
  name: name().optional().describe('For logs and traces. Default: made from the place in the list.'),
  match: routeMatchSchema
    .optional()
    .describe('What the route takes; the most specific route wins. Default: everything.'),
  proxy: oneOf(name(), proxySchema).optional().describe('Sends the request to an upstream.'),
  redirect: redirectSchema.optional().describe('Sends the client elsewhere.'),
  respond: respondSchema.optional().describe('Answers at once.'),
  maintenance: maintenanceSchema
    .optional()
    .describe('Answers 503 with a page; may stand in front of another action, for the clients in `allow`.'),
  rewrite: strictObject({
    stripPrefix: prefix.optional().describe('Taken off the path.'),
    addPrefix: prefix.optional().describe('Put in front of the path, after stripping.'),
  })
    .optional()
    .describe('Changes the path on its way to the upstream.'),
  requestHeaders: headerEdits.optional().describe('Edits of the request on its way to the upstream.'),
  responseHeaders: headerEdits
    .optional()
    .describe('Edits of every answer of the route, error pages included.'),
  maxBody: size(0).optional().describe('Largest request body; default: `limits.body`.'),
  timeout: duration(1)
    .optional()
    .describe('Longest time for the whole exchange; default: `timeouts.exchange`.'),
}).superRefine((route, context) => {
  const actions = [route.proxy, route.redirect, route.respond].filter((action) => action !== undefined).length
  if (actions > 1 || (actions === 0 && route.maintenance === undefined)) {
    context.addIssue(`expected exactly one of proxy, redirect, respond or maintenance, got ${actions}`)
  }
  if (actions === 0 && route.maintenance?.allow !== undefined) {
    context.addIssue({
      code: 'custom',
      path: ['maintenance', 'allow'],
      message: 'expected an action beside, for the clients that are let through',
    })
  }
  if (route.proxy === undefined && (route.rewrite !== undefined || route.requestHeaders !== undefined)) {
    const key = route.rewrite === undefined ? 'requestHeaders' : 'rewrite'
    context.addIssue({ code: 'custom', path: [key], message: 'expected only beside proxy' })
  }
  if (route.redirect !== undefined) {
    const template = compileRedirect(route.redirect.to, route.match?.path ?? [])
    if (typeof template === 'string')
      context.addIssue({ code: 'custom', path: ['redirect', 'to'], message: template })
  }
  const strip = route.rewrite?.stripPrefix
  if (
    strip !== undefined &&
    !(route.match?.path ?? []).some((path) => path === strip || path.startsWith(`${strip}/`))
  ) {
    context.addIssue({
      code: 'custom',
      path: ['rewrite', 'stripPrefix'],
      message: `expected the beginning of one of the route's paths, got ${JSON.stringify(strip)}`,
    })
  }
})

export type CheckedRoute = Checked<typeof routeSchema>

/** `index` is the place in `routes`; it names the route when nothing else does. */
export function resolveRoute(route: CheckedRoute, index: number): RouteOptions {
  return {
    name: route.name ?? `route-${index}`,
    match: resolveMatch(route.match),
    action: resolveAction(route),
    maintenance: resolveMaintenance(route),
    rewrite: { stripPrefix: route.rewrite?.stripPrefix, addPrefix: route.rewrite?.addPrefix },
    requestHeaders: resolveEdits(route.requestHeaders),
    responseHeaders: resolveEdits(route.responseHeaders),
    maxBodyBytes: route.maxBody,
    timeoutMs: route.timeout,
  }
}

function resolveMatch(match: CheckedRoute['match']): RouteMatch {
  return {
    hosts: match?.host ?? [],
    paths: match?.path ?? [],
    methods: match?.method ?? [],
    headers: conditions(match?.headers, true),
    query: conditions(match?.query, false),
  }
}

function conditions(table: Readonly<Record<string, string | true>> | undefined, lower: boolean): Condition[] {
  return Object.entries(table ?? {}).map(([key, value]) => ({
    name: lower ? key.toLowerCase() : key,
    value: value === true ? undefined : value,
  }))
}

function resolveAction(route: CheckedRoute): RouteAction | undefined {
  if (route.redirect !== undefined) return { kind: 'redirect', ...route.redirect }
  if (route.respond !== undefined) {
    const headers = Object.entries(route.respond.headers ?? {}).flat()
    return {
      kind: 'respond',
      status: route.respond.status,
      headers,
      body: Buffer.from(route.respond.body ?? ''),
    }
  }
  if (route.proxy === undefined) return undefined
  const proxy = typeof route.proxy === 'string' ? undefined : route.proxy
  const host = proxy?.host ?? 'client'
  return {
    kind: 'proxy',
    upstream: typeof route.proxy === 'string' ? route.proxy : route.proxy.upstream,
    host: host === 'client' || host === 'endpoint' ? host : { literal: host },
    responseTimeoutMs: proxy?.responseTimeout,
    bodyIdleTimeoutMs: proxy?.bodyIdleTimeout,
  }
}

function resolveMaintenance({ maintenance }: CheckedRoute): MaintenanceOptions | undefined {
  if (maintenance === undefined) return undefined
  const { retryAfter, body, allow } = maintenance
  return {
    retryAfterSeconds: retryAfter === undefined ? undefined : Math.ceil(retryAfter / 1_000),
    detail: body,
    allow: allow ?? [],
  }
}

function resolveEdits(edits: CheckedRoute['responseHeaders']): HeaderEdits | undefined {
  if (edits === undefined) return undefined
  return {
    remove: (edits.remove ?? []).map((field) => field.toLowerCase()),
    set: Object.entries(edits.set ?? {}).flat(),
    add: Object.entries(edits.add ?? {}).flatMap(([field, values]) =>
      values.flatMap((value) => [field, value]),
    ),
  }
}
