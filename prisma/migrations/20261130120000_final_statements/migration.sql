-- A statement that leaves with COMMIT is answered to nobody. Where it has not done all that it was to do it calls this, and COMMIT stores nothing.
CREATE FUNCTION refuse_missing(places int[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF places <> '{}' THEN
    RAISE EXCEPTION 'a final statement has not done all of it'
      USING ERRCODE = '23000', CONSTRAINT = 'final_statement', DETAIL = array_to_string(places, ',');
  END IF;
END
$$;
