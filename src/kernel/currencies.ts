// ISO 4217, list one of 2024-06-25, with XCG of amendment 176 and XAD of amendment 179; what has been withdrawn since stays, as books may hold it.
// Left out: metals, baskets, and codes for tests or for nothing (XAG, XAU, XBA to XBD, XDR, XPD, XPT, XSU, XTS, XUA, XXX), which have no minor unit.
// test/currencies.test.ts holds it against the list as it is published.
const codes: Readonly<Record<number, string>> = {
  0: 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF',
  2: `AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW CNY COP COU CRC CUC
    CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK
    LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB
    SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER
    ZAR ZMW ZWG`,
  3: 'BHD IQD JOD KWD LYD OMR TND',
  4: 'CLF UYW',
};

/** How many digits of an amount stand behind the point, by currency: 1 EUR is 10² minor units, 1 BHD 10³. */
export const exponents: ReadonlyMap<string, number> = new Map(
  Object.entries(codes).flatMap(([exponent, list]) =>
    list.split(/\s+/).map((code): [string, number] => [code, Number(exponent)]),
  ),
);

/** Whether ISO 4217 knows the code, and amounts of it have a minor unit. */
export const isCurrency = (code: string): boolean => exponents.has(code);

/** The codes of a list like `EUR, USD`; null unless all of them are of ISO 4217 and there is one. */
export function currenciesIn(text: string): readonly string[] | null {
  const codes = text.split(/[\s,]+/).filter((code) => code !== '');
  return codes.length > 0 && codes.every(isCurrency) ? [...new Set(codes)] : null;
}
