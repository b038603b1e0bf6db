/**
 * The vocabulary of the configuration: zod behind our own words, the one file that imports it.
 * Each room describes its options with these in its `options.ts`; config/ composes them, reports all faults
 * at once with their paths and emits the JSON Schema. (config/ owner: extend here.)
 */
export { z } from 'zod'
