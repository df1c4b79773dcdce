import { Injectable } from '@nestjs/common';
import { InjectDatabase, type Tables } from '../../database/tables.ts';
import type { Slice } from '../../http/page.ts';
import { newId } from '../../kernel/ids.ts';

export const changeKinds = [
  'email',
  'password',
  'password_reset',
  'password_reset_made',
  'role',
  'disabled',
  'enabled',
  'sessions_ended',
] as const;
export type ChangeKind = (typeof changeKinds)[number];

interface UserChange {
  readonly userId: string;
  /** The nil UUID where nobody was signed in. */
  readonly byId: string;
  readonly kind: ChangeKind;
  readonly oldValue?: string;
  readonly newValue?: string;
  readonly reason?: string;
}

@Injectable()
export class UserChangesRepository {
  constructor(@InjectDatabase() private readonly db: Tables<'userChange'>) {}

  async add(...changes: UserChange[]): Promise<void> {
    await this.db.userChange.createMany({ data: changes.map((change) => ({ id: newId(), ...change })) });
  }

  /** The newest first. */
  list(userId: string, { after, take }: Slice<string>) {
    return this.db.userChange.findMany({
      where: { userId, ...(after !== null && { id: { lt: after } }) },
      orderBy: { id: 'desc' },
      take,
    });
  }
}
