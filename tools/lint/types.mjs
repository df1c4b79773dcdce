// Questions that the type checker answers. A file that is linted without types has none of this: typesOf() is null there.
import ts from 'typescript';

const made = new WeakMap();

export function typesOf({ sourceCode: { parserServices } }) {
  if (!parserServices?.program) return null;
  if (!made.has(parserServices)) made.set(parserServices, new Types(parserServices));
  return made.get(parserServices);
}

class Types {
  constructor(services) {
    this.services = services;
    this.checker = services.program.getTypeChecker();
  }

  /** Without null and undefined; for a type parameter what it extends. */
  at(node) {
    const type = this.checker.getNonNullableType(this.services.getTypeAtLocation(node));
    return this.checker.getBaseConstraintOfType(type) ?? type;
  }

  isKnown(node) {
    return (this.at(node).flags & (ts.TypeFlags.Any | ts.TypeFlags.Unknown)) === 0;
  }

  isPromise(node) {
    return this.#isPromise(this.at(node));
  }

  /** A promise, or an array of promises. */
  holdsPromises(node) {
    const type = this.at(node);
    const isList = this.checker.isArrayType(type) || this.checker.isTupleType(type);
    return isList ? this.checker.getTypeArguments(type).some((one) => this.#isPromise(one)) : this.#isPromise(type);
  }

  /** Whether a value of it is never seen: `never`, or a promise of that. */
  isNever(node) {
    return this.#isNever(this.services.getTypeAtLocation(node));
  }

  /** Whether it can be nothing but an error. */
  isError(node) {
    return this.#isError(this.services.getTypeAtLocation(node));
  }

  /** What the function given here returns, asked with `isPromise`, `isNever` or `isError`. */
  returns(node, question) {
    const returned = this.at(node)
      .getCallSignatures()
      .map((signature) => signature.getReturnType());
    const ask = { isPromise: this.#isPromise, isNever: this.#isNever, isError: this.#isError }[question];
    return returned.length > 0 && returned.every((type) => ask.call(this, type));
  }

  /** The names of a value's type and of what it extends, each with the file that declares it. */
  namesOf(node) {
    return this.#ancestry(this.at(node)).flatMap(({ symbol }) =>
      (symbol?.declarations ?? []).map((declaration) => ({
        name: symbol.name,
        file: declaration.getSourceFile().fileName,
      })),
    );
  }

  /** The names of the classes and interfaces that declare the member; null when it is unknown. */
  ownersOf(member) {
    const declarations = this.#declarationsOf(member);
    return declarations && declarations.map(({ parent }) => parent?.name?.text);
  }

  /** The propagation that `@Transactional()` gives the method which is named here; null when it is not decorated, undefined when it cannot be read. */
  propagationOf(callee) {
    for (const declaration of this.#declarationsOf(callee) ?? []) {
      const decorators = (ts.canHaveDecorators(declaration) && ts.getDecorators(declaration)) || [];
      const call = decorators.map(({ expression }) => expression).find(isTransactional);
      if (!call) continue;
      const options = call.arguments[0] ? this.#literals(call.arguments[0]) : {};
      return 'propagation' in options ? options.propagation : 'required';
    }
    return null;
  }

  /** Whether `@Transactional()` draws a boundary around the method which is named here, in which it may write. */
  isWritingBoundary(callee) {
    for (const declaration of this.#declarationsOf(callee) ?? []) {
      const decorators = (ts.canHaveDecorators(declaration) && ts.getDecorators(declaration)) || [];
      const call = decorators.map(({ expression }) => expression).find(isTransactional);
      if (!call) continue;
      const options = call.arguments[0] ? this.#literals(call.arguments[0]) : {};
      const mayWrite = !('readOnly' in options) || options.readOnly === false;
      return mayWrite && !['supports', 'not-supported', 'never'].includes(options.propagation);
    }
    return false;
  }

  /** The members of an object whose types are literals, with their values; other members are undefined. Null when it is unknown. */
  literalsOf(node) {
    return this.isKnown(node) ? this.#literals(this.services.esTreeNodeToTSNodeMap.get(node)) : null;
  }

  #literals(expression) {
    const members = this.checker.getTypeAtLocation(expression).getProperties();
    return Object.fromEntries(
      members.map((member) => {
        const type = this.checker.getTypeOfSymbolAtLocation(member, expression);
        const isFalse = (type.flags & ts.TypeFlags.BooleanLiteral) !== 0 && this.checker.typeToString(type) === 'false';
        return [member.name, isFalse ? false : type.value];
      }),
    );
  }

  #declarationsOf(node) {
    const place = node.type === 'MemberExpression' ? node.property : node;
    const symbol = this.services.getSymbolAtLocation(place);
    if (!symbol) return null;
    const meant = symbol.flags & ts.SymbolFlags.Alias ? this.checker.getAliasedSymbol(symbol) : symbol;
    return meant.declarations ?? null;
  }

  #isPromise(type) {
    if (type.isUnion()) return type.types.some((one) => this.#isPromise(one));
    return this.checker.getPropertyOfType(this.checker.getApparentType(type), 'then') !== undefined;
  }

  #isNever(type) {
    if (type.flags & ts.TypeFlags.Never) return true;
    const [promised] = type.symbol?.name === 'Promise' ? this.checker.getTypeArguments(type) : [];
    return promised !== undefined && (promised.flags & ts.TypeFlags.Never) !== 0;
  }

  #isError(type) {
    if (type.isUnion()) return type.types.every((one) => this.#isError(one));
    return this.#ancestry(type).some(({ symbol }) => symbol?.name === 'Error');
  }

  #ancestry(type) {
    // Of `Box<string>`, the declaration is its target.
    const declared = [type, type.target].find((one) => one?.isClassOrInterface());
    const parts = type.isIntersection() ? type.types : declared ? this.checker.getBaseTypes(declared) : [];
    return [type, ...parts.flatMap((part) => this.#ancestry(part))];
  }
}

const isTransactional = (expression) =>
  ts.isCallExpression(expression) && /(^|\.)Transactional$/.test(expression.expression.getText());
