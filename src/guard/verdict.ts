import { CidrTable, printCidr } from '../net-address.ts'
import type { Cidr } from '../net-address.ts'
import type { GuardOptions } from './options.ts'

/** `rule` is the block that decided, for logs and traces; undefined when none held the address. */
export type Verdict =
  | { readonly kind: 'admit'; readonly rule: string | undefined }
  | { readonly kind: 'deny'; readonly rule: string | undefined }

/** Judges one address. Compiled once; memory is the two lists' prefixes (cidr.ts). Allocates nothing. */
export type Judge = (address: string) => Verdict

/**
 * The longest prefix that holds the address decides; deny stands before allow at equal length. An address that no
 * block holds is admitted unless there is an allow list. What is no IP address ('' of a unix socket) counts as held by
 * no block, and is admitted: who may open the socket is decided by the file system.
 */
export function compileJudge(options: GuardOptions): Judge {
  const entry = (kind: Verdict['kind']) => (block: Cidr) => [block, { kind, rule: printCidr(block) }] as const
  // Of two entries for one block the later one stands: deny.
  const table = new CidrTable<Verdict>([
    ...options.allow.map(entry('admit')),
    ...options.deny.map(entry('deny')),
  ])
  const stranger: Verdict = { kind: options.allow.length > 0 ? 'deny' : 'admit', rule: undefined }
  if (table.size === 0) return () => stranger
  return (address) => (address === '' ? local : (table.lookup(address) ?? stranger))
}

const local: Verdict = { kind: 'admit', rule: undefined }
