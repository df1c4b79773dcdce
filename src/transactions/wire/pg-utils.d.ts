// What @types/pg leaves out.
declare module 'pg/lib/utils.js' {
  const utils: {
    /** The value as it goes to the server: text, bytes or null. */
    readonly prepareValue: (value: unknown) => unknown;
  };
  export default utils;
}
