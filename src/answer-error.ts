import type { ErrorPages, PageText } from './error-page.ts'
import type { GatewayError } from './errors.ts'
import type { Exchange, GatewayResponse } from './exchange.ts'
import { joinField } from './http/fields.ts'
import type { RawFields } from './http/fields.ts'

/** A decision not to serve, as a value: what the client is told, and the code that logs and traces know it by. */
export interface Refusal {
  readonly status: number
  /** Stable: `not_found`, `denied`. */
  readonly code: string
  /** Further fields of the answer, such as Allow. */
  readonly headers?: RawFields
  readonly page?: PageText
}

/** Turns a decision into an answer. Handed to the stages that refuse. */
export type Refuse = (exchange: Exchange, refusal: Refusal) => GatewayResponse

declare module './exchange.ts' {
  interface ExchangeSlots {
    /** Code of the decision not to serve, for the log. */
    refused?: string
  }
}

/**
 * The one place where failures and refusals become answers: status, further fields, `Cache-Control: no-store` and a
 * page by Accept (none for HEAD). The message of an error never leaves the gateway.
 */
export function refuseWith(pages: ErrorPages): Refuse {
  return (exchange, refusal) => {
    exchange.slots.refused = refusal.code
    return makeAnswer(pages, exchange, refusal)
  }
}

/** The same for an error; the first error of an exchange is kept for the log. */
export function answerWith(pages: ErrorPages): (exchange: Exchange, error: GatewayError) => GatewayResponse {
  return (exchange, error) => {
    exchange.error ??= error
    exchange.note('answer', error.code, error)
    return makeAnswer(pages, exchange, error)
  }
}

function makeAnswer(
  pages: ErrorPages,
  { request, id }: Exchange,
  told: Omit<Refusal, 'code'>,
): GatewayResponse {
  const { contentType, headers, body } = pages.render(
    told.status,
    joinField(request.headers, 'accept'),
    id,
    told.page,
  )
  return {
    status: told.status,
    headers: ['Content-Type', contentType, 'Cache-Control', 'no-store', ...headers, ...(told.headers ?? [])],
    body: request.method === 'HEAD' ? undefined : body,
    length: body.byteLength,
  }
}
