import { Injectable } from '@nestjs/common';
import type { MailMessage } from './smtp.ts';

const mostKept = 100;

/** Mail that was caught instead of sent, the last of it, for as long as the process lives. */
@Injectable()
export class CaughtMails {
  private caught: readonly MailMessage[] = [];

  add(message: MailMessage): void {
    this.caught = [message, ...this.caught].slice(0, mostKept);
  }

  /** The newest first. */
  list(): readonly MailMessage[] {
    return this.caught;
  }

  find(messageId: string): MailMessage | undefined {
    return this.caught.find((one) => one.messageId === messageId);
  }
}
